/* tier.c - Hyperscan's runtime behind tier.h.
 *
 * hs_deserialize_database checks version and CRC but not what it reads in
 * between; it is given bytes that carried the control plane's checksum. */
#include "dataplane/match/tier.h"

#include "dataplane/base/assert.h"
#include "dataplane/base/pool.h"
#include "dataplane/base/reader.h"

#include <hs/hs_runtime.h>
#include <stdlib.h>

struct tier_base {
	uint32_t users; /* atomic: tiers of several workers */
	uint32_t count;
	size_t bytes;
	hs_database_t *database; /* NULL: no patterns */
	uint32_t *start;         /* of each text, in `texts`; and the end of the last */
	uint8_t *texts;
};

struct tier {
	struct tier_base *base;
	hs_scratch_t *scratch;
	struct tier_note note[];
};

/* Scratch is touched when it is made: later, a page fault would be a worker's. */
static void *allocate_create(size_t size)
{
	void *memory = malloc(size);

	if (memory != NULL)
		memset(memory, 0, size);
	return memory;
}

/* True: the texts fill their bytes exactly, and are not too many. */
static bool count_texts(struct span texts, uint32_t *count)
{
	struct reader r = reader_of(texts);

	*count = 0;
	while (reader_left(&r) > 0 && !r.bad && *count <= TIER_PATTERNS_MAX) {
		(void)read_bytes(&r, read_u16(&r));
		++*count;
	}
	return !r.bad && *count <= TIER_PATTERNS_MAX;
}

static bool create_texts(struct tier_base *b, struct span texts)
{
	struct reader r = reader_of(texts);
	uint32_t at = 0;

	b->start = malloc((b->count + 1) * sizeof(*b->start));
	b->texts = malloc(texts.size + 1);
	if (b->start == NULL || b->texts == NULL)
		return false;
	for (uint32_t i = 0; i < b->count; i++) {
		const struct span text = read_bytes(&r, read_u16(&r));
		b->start[i] = at;
		if (text.size > 0)
			memcpy(b->texts + at, text.at, text.size);
		at += (uint32_t)text.size;
	}
	b->start[b->count] = at;
	return true;
}

static enum err create_database(struct tier_base *b, struct span database)
{
	if (b->count == 0)
		return database.size == 0 ? ERR_NONE : ERR_TIER_BAD;
	const hs_error_t e =
		hs_deserialize_database((const char *)database.at, database.size, &b->database);
	if (e == HS_NOMEM)
		return ERR_TIER_MEMORY;
	return e == HS_SUCCESS ? ERR_NONE : ERR_TIER_BAD;
}

enum err tier_base_create(struct span texts, struct span database, struct tier_base **out)
{
	uint32_t count;

	*out = NULL;
	if (!count_texts(texts, &count))
		return ERR_TIER_BAD;
	struct tier_base *b = calloc(1, sizeof(*b));
	if (b == NULL)
		return ERR_TIER_MEMORY;
	*b = (struct tier_base){
		.users = 1, .count = count, .bytes = sizeof(*b) + texts.size + database.size};
	enum err e = create_texts(b, texts) ? ERR_NONE : ERR_TIER_MEMORY;
	if (e == ERR_NONE)
		e = create_database(b, database);
	if (e != ERR_NONE)
		tier_base_put(&b);
	*out = b;
	return e;
}

void tier_base_put(struct tier_base **base)
{
	struct tier_base *b = *base;

	*base = NULL;
	if (b == NULL || __atomic_sub_fetch(&b->users, 1, __ATOMIC_ACQ_REL) > 0)
		return;
	hs_free_database(b->database);
	free(b->start);
	free(b->texts);
	free(b);
}

size_t tier_base_bytes(const struct tier_base *base)
{
	return base->bytes;
}

static int on_nothing(
	unsigned id, unsigned long long from, unsigned long long to, unsigned flags, void *owner)
{
	(void)id, (void)from, (void)to, (void)flags, (void)owner;
	return 0;
}

static bool create_scratch(struct tier *t)
{
	if (t->base->database == NULL)
		return true;
	hs_set_scratch_allocator(allocate_create, free);
	if (hs_alloc_scratch(t->base->database, &t->scratch) != HS_SUCCESS)
		return false;
	/* Once, so that a worker's first scan finds nothing strange. */
	return hs_scan(t->base->database, "$", 2, 0, t->scratch, on_nothing, NULL) == HS_SUCCESS;
}

struct tier *tier_create(struct tier_base *base)
{
	struct tier *t = malloc(sizeof(*t) + base->count * sizeof(t->note[0]));

	if (t == NULL)
		return NULL;
	*t = (struct tier){.base = base};
	__atomic_add_fetch(&base->users, 1, __ATOMIC_ACQ_REL);
	for (uint32_t i = 0; i < base->count; i++)
		t->note[i] = (struct tier_note){.pattern = POOL_NONE};
	if (!create_scratch(t))
		tier_destroy(&t);
	return t;
}

void tier_destroy(struct tier **tier)
{
	struct tier *t = *tier;

	*tier = NULL;
	if (t == NULL)
		return;
	hs_free_scratch(t->scratch);
	tier_base_put(&t->base);
	free(t);
}

size_t tier_bytes(const struct tier *t)
{
	const uint32_t users = __atomic_load_n(&t->base->users, __ATOMIC_RELAXED);
	size_t scratch = 0;

	if (t->scratch != NULL && hs_scratch_size(t->scratch, &scratch) != HS_SUCCESS)
		scratch = 0;
	return sizeof(*t) + t->base->count * sizeof(t->note[0]) + scratch + t->base->bytes / users;
}

uint32_t tier_count(const struct tier *t)
{
	return t->base->count;
}

struct span tier_text(const struct tier *t, uint32_t index)
{
	const uint32_t *start = t->base->start;

	ASSERT(index < t->base->count);
	return span_of(t->base->texts + start[index], start[index + 1] - start[index]);
}

struct tier_note *tier_notes(struct tier *t)
{
	return t->note;
}

struct heard {
	struct tier *tier;
	tier_hit *hit;
	void *owner;
};

static int on_event(
	unsigned id, unsigned long long from, unsigned long long to, unsigned flags, void *owner)
{
	const struct heard *h = owner;

	(void)from, (void)to, (void)flags;
	if (id < h->tier->base->count)
		h->hit(h->owner, id);
	return 0;
}

void tier_scan(struct tier *t, struct span topic_and_nul, tier_hit *hit, void *owner)
{
	struct heard h = {t, hit, owner};

	if (t->base->database == NULL)
		return;
	const hs_error_t e = hs_scan(t->base->database, (const char *)topic_and_nul.at,
		(unsigned)topic_and_nul.size, 0, t->scratch, on_event, &h);
	ASSERT(e == HS_SUCCESS);
}
