/* sessions_rig_store.c - the rig's store: sorted arrays, completions by hand. See sessions_rig.h.
 */
#include "tests/unit/sessions_rig.h"

#include "dataplane/base/assert.h"

#include <stdlib.h>

static int compare(struct span a, struct span b)
{
	const size_t n = a.size < b.size ? a.size : b.size;
	const int c = n == 0 ? 0 : memcmp(a.at, b.at, n);

	return c != 0 ? c : a.size < b.size ? -1 : a.size > b.size;
}

static struct span key_of(const struct rig_row *row)
{
	return span_of(row->key, row->key_size);
}

/* The first row that is not below the key. */
static size_t lower(const struct rig_rows *rows, struct span key)
{
	size_t low = 0, high = rows->count;

	while (low < high) {
		const size_t middle = low + (high - low) / 2;
		if (compare(key_of(&rows->at[middle]), key) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static bool is_at(const struct rig_rows *rows, size_t i, struct span key)
{
	return i < rows->count && compare(key_of(&rows->at[i]), key) == 0;
}

static uint8_t *copy(struct span s)
{
	uint8_t *c = malloc(s.size + 1);

	ASSERT(c != NULL);
	if (s.size > 0)
		memcpy(c, s.at, s.size);
	return c;
}

static void row_delete(struct rig_rows *rows, size_t from, size_t to)
{
	for (size_t i = from; i < to; i++) {
		free(rows->at[i].key);
		free(rows->at[i].value);
	}
	if (from < to)
		memmove(&rows->at[from], &rows->at[to], (rows->count - to) * sizeof(*rows->at));
	rows->count -= to - from;
}

static void row_put(struct rig_rows *rows, struct span key, struct span value)
{
	const size_t i = lower(rows, key);

	if (is_at(rows, i, key)) {
		free(rows->at[i].value);
	} else {
		if (rows->count == rows->room) {
			rows->room = rows->room * 2 + 64;
			rows->at = realloc(rows->at, rows->room * sizeof(*rows->at));
			ASSERT(rows->at != NULL);
		}
		memmove(&rows->at[i + 1], &rows->at[i], (rows->count - i) * sizeof(*rows->at));
		rows->count++;
		rows->at[i].key = copy(key);
		rows->at[i].key_size = key.size;
	}
	rows->at[i].value = copy(value);
	rows->at[i].value_size = value.size;
}

static void apply(struct rig_rows *rows, const struct storage_op *ops, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const size_t at = lower(rows, ops[i].key);
		if (ops[i].kind == STORAGE_PUT)
			row_put(rows, ops[i].key, ops[i].value);
		else if (ops[i].kind == STORAGE_DELETE && is_at(rows, at, ops[i].key))
			row_delete(rows, at, at + 1);
		else if (ops[i].kind == STORAGE_DELETE_RANGE)
			row_delete(rows, at, lower(rows, ops[i].value));
	}
}

static void batch_free(struct rig_batch *b)
{
	for (size_t i = 0; i < b->count; i++) {
		free((void *)(uintptr_t)b->ops[i].key.at);
		free((void *)(uintptr_t)b->ops[i].value.at);
	}
	free(b->ops);
}

static enum err submit(struct storage *s, const struct storage_batch *b)
{
	struct rig_store *st = (struct rig_store *)s;

	if (st->fail != ERR_NONE)
		return st->fail;
	if (st->log_count == st->log_room) {
		st->log_room = st->log_room * 2 + 64;
		st->log = realloc(st->log, st->log_room * sizeof(*st->log));
		ASSERT(st->log != NULL);
	}
	struct rig_batch *to = &st->log[st->log_count++];
	*to = (struct rig_batch){.ops = calloc(b->count + 1, sizeof(*to->ops)),
		.count = b->count,
		.token = b->token};
	for (size_t i = 0; i < b->count; i++) {
		const struct storage_op *op = &b->ops[i];
		to->ops[i] = (struct storage_op){.kind = op->kind,
			.key = {copy(op->key), op->key.size},
			.value = {copy(op->value), op->value.size}};
	}
	apply(&st->view, to->ops, to->count);
	return ERR_NONE;
}

static enum storage_found get(
	struct storage *s, struct span key, void *to, size_t room, size_t *size)
{
	const struct rig_store *st = (const struct rig_store *)s;
	const size_t i = lower(&st->view, key);

	if (st->fail_read != ERR_NONE)
		return STORAGE_FAILED;
	if (!is_at(&st->view, i, key))
		return STORAGE_ABSENT;
	*size = st->view.at[i].value_size;
	memcpy(to, st->view.at[i].value, *size < room ? *size : room);
	return STORAGE_FOUND;
}

static enum err scan(struct storage *s, struct span from, struct span to,
	bool (*seen)(void *owner, struct span key, struct span value), void *owner)
{
	const struct rig_store *st = (const struct rig_store *)s;

	for (size_t i = lower(&st->view, from); i < st->view.count; i++) {
		const struct rig_row *row = &st->view.at[i];
		if (compare(key_of(row), to) >= 0)
			break;
		if (!seen(owner, key_of(row), span_of(row->value, row->value_size)))
			break;
	}
	return ERR_NONE;
}

/* The first batch goes from the log to the disk. */
static void complete_first(struct rig_store *st)
{
	apply(&st->disk, st->log[0].ops, st->log[0].count);
	batch_free(&st->log[0]);
	memmove(st->log, st->log + 1, --st->log_count * sizeof(*st->log));
	st->batches++;
}

static uint32_t poll(struct storage *s, struct storage_completion *out, uint32_t max)
{
	struct rig_store *st = (struct rig_store *)s;
	uint32_t n = 0;

	for (; n < max && st->log_count > 0 && st->allowed > 0; n++, st->allowed--) {
		out[n] = (struct storage_completion){
			.token = st->log[0].token, .err = st->fail_later};
		complete_first(st);
	}
	return n;
}

static int event_fd(const struct storage *s)
{
	(void)s;
	return -1;
}

static void facts(const struct storage *s, struct storage_facts *out)
{
	const struct rig_store *st = (const struct rig_store *)s;

	*out = (struct storage_facts){
		.batches = st->batches, .syncs = st->batches, .err = st->fail_read};
}

static const struct storage_ops ops = {.submit = submit,
	.get = get,
	.scan = scan,
	.poll = poll,
	.event_fd = event_fd,
	.facts = facts};

void rig_store_init(struct rig_store *st)
{
	*st = (struct rig_store){.base.ops = &ops};
}

void rig_store_crash(struct rig_store *st, size_t kept)
{
	for (; kept > 0 && st->log_count > 0; kept--)
		complete_first(st);
	while (st->log_count > 0)
		batch_free(&st->log[--st->log_count]);
	row_delete(&st->view, 0, st->view.count);
	for (size_t i = 0; i < st->disk.count; i++) {
		const struct rig_row *row = &st->disk.at[i];
		row_put(&st->view, key_of(row), span_of(row->value, row->value_size));
	}
	st->allowed = 0;
}

void rig_store_fini(struct rig_store *st)
{
	rig_store_crash(st, 0);
	row_delete(&st->view, 0, st->view.count);
	row_delete(&st->disk, 0, st->disk.count);
	free(st->view.at);
	free(st->disk.at);
	free(st->log);
}

size_t rig_store_rows(const struct rig_store *st, uint8_t kind)
{
	size_t n = 0;

	for (size_t i = 0; i < st->view.count; i++)
		n += st->view.at[i].key[0] == kind;
	return n;
}
