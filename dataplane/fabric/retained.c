/* retained.c - values in a treap by topic, threaded as a list; their bytes in cells.
 *
 * '/' is lower than every other byte, so what lies below a topic follows it
 * directly. Priorities are a keyed mix of the value's place: nobody outside can
 * make the tree degenerate. */
#include "dataplane/base/assert.h"
#include "dataplane/fabric/retained_internal.h"

#include <stdlib.h>

static size_t round_up(size_t bytes)
{
	return (bytes + 63) & ~(size_t)63;
}

static size_t values_part(const struct retained_conf *conf)
{
	return round_up(pool_bytes(conf->topics_max, sizeof(struct value)));
}

static size_t cursors_part(void)
{
	return round_up(RETAINED_CURSORS_MAX * sizeof(struct retained_cursor));
}

static size_t scratch_part(void)
{
	return (UINT16_MAX + 1u) + MESSAGE_HEAD_LARGE;
}

static uint64_t cells_of(const struct retained_conf *conf)
{
	return conf->bytes_max / sizeof(struct cell);
}

size_t retained_bytes(const struct retained_conf *conf)
{
	if (cells_of(conf) >= CELLS_NONE || conf->topics_max + 1ull >= RETAINED_NONE)
		return 0;
	return round_up(sizeof(struct retained)) + values_part(conf) + cursors_part() +
	       scratch_part() + cells_of(conf) * sizeof(struct cell);
}

struct retained *retained_create(const struct retained_conf *conf)
{
	const size_t bytes = retained_bytes(conf);
	uint8_t *at = bytes > 0 ? aligned_alloc(64, round_up(bytes)) : NULL;

	if (at == NULL)
		return NULL;
	/* Touched now, so that no page fault comes later. */
	memset(at, 0, bytes);
	struct retained *r = (struct retained *)(void *)at;
	at += round_up(sizeof(*r));
	r->counters = conf->counters;
	r->secret = conf->secret;
	r->matches = conf->matches;
	r->owner = conf->owner;
	r->root = r->first = r->swept = RETAINED_NONE;
	pool_init(&r->values, at, conf->topics_max, sizeof(struct value));
	at += values_part(conf);
	r->cursors = (struct retained_cursor *)(void *)at;
	for (uint32_t i = 0; i < RETAINED_CURSORS_MAX; i++)
		r->cursors[i].free = i + 1 < RETAINED_CURSORS_MAX ? i + 1 : (uint32_t)RETAINED_NONE;
	at += cursors_part();
	r->topic = at;
	r->head = at + UINT16_MAX + 1u;
	at += scratch_part();
	cells_init(&r->cells, at, (uint32_t)cells_of(conf));
	return r;
}

void retained_destroy(struct retained **r)
{
	if (*r != NULL)
		ASSERT((*r)->cursors_open == 0);
	free(*r);
	*r = NULL;
}

size_t retained_used(const struct retained *r)
{
	return pool_used(&r->values) +
	       (size_t)(r->cells.count - r->cells.free_count) * sizeof(struct cell);
}

uint32_t retained_count(const struct retained *r)
{
	return r->values.out;
}

/* A bijection of 64 bits (splitmix64's end), so no two values have equal priority. */
static uint64_t priority(const struct retained *r, uint32_t index)
{
	uint64_t z = r->secret + index;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

static int rank(uint8_t byte)
{
	return byte == '/' ? -1 : byte;
}

/* Their topics' first bytes are equal, as many as both have. */
static int order_by_size(struct span key, bool after, size_t topic_size, int next)
{
	if (key.size > topic_size)
		return 1;
	if (key.size == topic_size)
		return after;
	return after && next == '/' ? 1 : -1;
}

/* Is a key below (-1), at (0), or above (1) a value's topic? `after`: the key stands for the place
 * behind everything below it. */
static int order(const struct retained *r, struct span key, bool after, const struct value *v)
{
	const struct cell *cell = &r->cells.at[v->cells];

	for (size_t done = 0;; done += CELL_BYTES, cell = &r->cells.at[cell->next]) {
		const size_t both = key.size < v->topic_size ? key.size : v->topic_size;
		const size_t n = both - done < CELL_BYTES ? both - done : CELL_BYTES;
		if (n > 0 && memcmp(key.at + done, cell->bytes, n) != 0) {
			size_t i = 0;
			while (key.at[done + i] == cell->bytes[i])
				i++;
			return rank(key.at[done + i]) < rank(cell->bytes[i]) ? -1 : 1;
		}
		if (n < CELL_BYTES) /* the byte behind is in this cell, if there is one */
			return order_by_size(key, after, v->topic_size, cell->bytes[n]);
	}
}

uint32_t retained_from(const struct retained *r, struct span topic, bool after)
{
	uint32_t best = RETAINED_NONE;

	for (uint32_t at = r->root; at != RETAINED_NONE;) {
		const struct value *v = retained_at(r, at);
		const bool here = order(r, topic, after, v) <= 0;
		best = here ? at : best;
		at = here ? v->lower : v->upper;
	}
	return best;
}

static uint32_t find(const struct retained *r, struct span topic)
{
	for (uint32_t at = r->root; at != RETAINED_NONE;) {
		const struct value *v = retained_at(r, at);
		const int o = order(r, topic, false, v);
		if (o == 0)
			return at;
		at = o < 0 ? v->lower : v->upper;
	}
	return RETAINED_NONE;
}

struct span retained_topic(const struct retained *r, const struct value *v)
{
	struct cells_place place = {.cell = v->cells};

	cells_read(&r->cells, &place, r->topic, v->topic_size);
	return span_of(r->topic, v->topic_size);
}

/* Puts it at its place in the treap, and notes between which two that is. */
static void enter_tree(struct retained *r, uint32_t index, struct span topic)
{
	struct value *v = retained_at(r, index);
	const uint64_t mine = priority(r, index);
	uint32_t *link = &r->root;

	v->next = v->prev = RETAINED_NONE;
	while (*link != RETAINED_NONE && priority(r, *link) > mine) {
		struct value *at = retained_at(r, *link);
		const bool below = order(r, topic, false, at) < 0;
		*(below ? &v->next : &v->prev) = *link;
		link = below ? &at->lower : &at->upper;
	}
	/* What was here goes below it, cut in two at its topic. */
	uint32_t rest = *link;
	uint32_t *lower = &v->lower, *upper = &v->upper;
	*link = index;
	while (rest != RETAINED_NONE) {
		struct value *at = retained_at(r, rest);
		if (order(r, topic, false, at) < 0) {
			v->next = *upper = rest;
			upper = &at->lower;
			rest = at->lower;
		} else {
			v->prev = *lower = rest;
			lower = &at->upper;
			rest = at->upper;
		}
	}
	*lower = *upper = RETAINED_NONE;
}

static void leave_tree(struct retained *r, uint32_t index, struct span topic)
{
	const struct value *v = retained_at(r, index);
	uint32_t *link = &r->root;

	while (*link != index) {
		struct value *at = retained_at(r, *link);
		link = order(r, topic, false, at) < 0 ? &at->lower : &at->upper;
	}
	/* What is below it takes its place, joined by priority. */
	uint32_t lower = v->lower, upper = v->upper;
	while (lower != RETAINED_NONE && upper != RETAINED_NONE) {
		if (priority(r, lower) > priority(r, upper)) {
			*link = lower;
			link = &retained_at(r, lower)->upper;
			lower = *link;
		} else {
			*link = upper;
			link = &retained_at(r, upper)->lower;
			upper = *link;
		}
	}
	*link = lower != RETAINED_NONE ? lower : upper;
}

static void link_list(struct retained *r, uint32_t index)
{
	const struct value *v = retained_at(r, index);

	*(v->prev == RETAINED_NONE ? &r->first : &retained_at(r, v->prev)->next) = index;
	if (v->next != RETAINED_NONE)
		retained_at(r, v->next)->prev = index;
}

static void unlink_list(struct retained *r, const struct value *v)
{
	*(v->prev == RETAINED_NONE ? &r->first : &retained_at(r, v->prev)->next) = v->next;
	if (v->next != RETAINED_NONE)
		retained_at(r, v->next)->prev = v->prev;
}

/* Cursors that stand on a value that goes move to the one behind it. */
static void move_cursors(struct retained *r, uint32_t index)
{
	struct value *v = retained_at(r, index);
	struct retained_cursor *c = r->cursors;

	if (r->swept == index)
		r->swept = v->next;
	for (uint32_t i = 0; v->cursors > 0; i++) {
		if (!c[i].open || c[i].at != index)
			continue;
		c[i].at = v->next;
		v->cursors--;
		if (v->next != RETAINED_NONE)
			retained_at(r, v->next)->cursors++;
	}
}

static void count_bytes(struct retained *r)
{
	counter_set(r->counters, COUNTER_RETAINED, r->values.out);
	counter_set(r->counters, COUNTER_RETAINED_BYTES,
		(r->cells.count - r->cells.free_count) * (uint64_t)sizeof(struct cell) +
			r->values.out * (uint64_t)sizeof(struct value));
}

void retained_remove(struct retained *r, uint32_t index)
{
	struct value *v = retained_at(r, index);

	move_cursors(r, index);
	leave_tree(r, index, retained_topic(r, v));
	unlink_list(r, v);
	r->expiring -= v->expiry_s != 0;
	cells_put(&r->cells, v->cells);
	pool_put(&r->values, index);
	count_bytes(r);
}

static uint64_t bytes_of(const struct message *m)
{
	const struct message_props *p = &m->props;

	return m->topic.size + p->content_type.size + p->reply_to.size + p->correlation.size +
	       p->user.size + m->payload_size;
}

/* Everything but the links and the cursors. */
static void fill(struct retained *r, struct value *v, const struct message *m)
{
	const struct message_props *p = &m->props;
	struct cells_place place = {.cell = v->cells};

	v->topic_size = (uint16_t)m->topic.size;
	v->type_size = (uint16_t)p->content_type.size;
	v->reply_size = (uint16_t)p->reply_to.size;
	v->correlation_size = (uint16_t)p->correlation.size;
	v->user_size = (uint32_t)p->user.size;
	v->payload_size = m->payload_size;
	v->born_us = m->born_us;
	v->expiry_s = p->expiry_s;
	v->qos = m->qos;
	v->priority = p->priority;
	v->payload_is_utf8 = p->payload_is_utf8;
	const struct span parts[] = {
		m->topic, p->content_type, p->reply_to, p->correlation, p->user};
	for (size_t i = 0; i < ARRAY_SIZE(parts); i++)
		cells_write(&r->cells, &place, parts[i]);
	for (const struct rte_mbuf *s = m->payload; s != NULL; s = s->next)
		cells_write(
			&r->cells, &place, span_of(rte_pktmbuf_mtod(s, const void *), s->data_len));
}

static uint64_t cells_in_use(const struct value *v)
{
	return cells_for((uint64_t)v->topic_size + v->type_size + v->reply_size +
			 v->correlation_size + v->user_size + v->payload_size);
}

bool retained_room(const struct retained *r, const struct message *m)
{
	const uint32_t index = m->payload_size > 0 ? find(r, m->topic) : (uint32_t)RETAINED_NONE;
	uint64_t free = r->cells.free_count;

	if (m->payload_size == 0)
		return true;
	if (index != RETAINED_NONE)
		free += cells_in_use(retained_at(r, index));
	else if (r->values.out == r->values.count)
		return false;
	return cells_for(bytes_of(m)) <= free;
}

static enum err replace(struct retained *r, uint32_t index, const struct message *m, uint64_t cells)
{
	struct value *v = retained_at(r, index);

	if (cells > r->cells.free_count + cells_in_use(v))
		return ERR_RETAINED_FULL;
	cells_put(&r->cells, v->cells);
	v->cells = cells_take(&r->cells, (uint32_t)cells);
	r->expiring -= v->expiry_s != 0;
	r->expiring += m->props.expiry_s != 0;
	fill(r, v, m);
	return ERR_NONE;
}

static enum err add(struct retained *r, const struct message *m, uint64_t cells)
{
	const uint32_t index =
		cells <= r->cells.free_count ? pool_get(&r->values) : (uint32_t)POOL_NONE;

	if (index == POOL_NONE)
		return ERR_RETAINED_FULL;
	struct value *v = retained_at(r, index);
	*v = (struct value){.cells = cells_take(&r->cells, (uint32_t)cells)};
	r->expiring += m->props.expiry_s != 0;
	fill(r, v, m);
	enter_tree(r, index, m->topic);
	link_list(r, index);
	return ERR_NONE;
}

enum err retained_set(struct retained *r, const struct message *m)
{
	const uint64_t cells = cells_for(bytes_of(m));
	const uint32_t index = find(r, m->topic);
	enum err e = ERR_NONE;

	ASSERT(message_whole(m) && m->topic.size > 0);
	if (m->payload_size == 0) {
		if (index != RETAINED_NONE)
			retained_remove(r, index);
		return ERR_NONE;
	}
	e = index != RETAINED_NONE ? replace(r, index, m, cells) : add(r, m, cells);
	if (e != ERR_NONE)
		counter_err(r->counters, e);
	count_bytes(r);
	return e;
}

void retained_sweep(struct retained *r, uint64_t now_us, uint32_t budget)
{
	for (; r->expiring > 0 && budget > 0; budget--) {
		const uint32_t at = r->swept != RETAINED_NONE ? r->swept : r->first;
		r->swept = retained_at(r, at)->next;
		if (retained_expired(retained_at(r, at), now_us))
			retained_remove(r, at);
	}
}

static uint64_t check_value(const struct retained *r, uint32_t index, uint32_t prev)
{
	const struct value *v = pool_at(&r->values, index);

	ASSERT(v->prev == prev);
	ASSERT(find(r, retained_topic(r, v)) == index);
	if (prev != RETAINED_NONE)
		ASSERT(order(r, retained_topic(r, v), false, retained_at(r, prev)) > 0);
	ASSERT(v->lower == RETAINED_NONE || priority(r, v->lower) < priority(r, index));
	ASSERT(v->upper == RETAINED_NONE || priority(r, v->upper) < priority(r, index));
	return cells_in_use(v);
}

void retained_check(const struct retained *r)
{
	uint64_t cells = 0;
	uint32_t count = 0, prev = RETAINED_NONE, expiring = 0, cursors = 0;

	for (uint32_t at = r->first; at != RETAINED_NONE; at = retained_at(r, at)->next) {
		cells += check_value(r, at, prev);
		expiring += retained_at(r, at)->expiry_s != 0;
		cursors += retained_at(r, at)->cursors;
		prev = at;
		count++;
	}
	ASSERT(count == r->values.out);
	ASSERT(expiring == r->expiring);
	ASSERT(cursors <= r->cursors_open);
	ASSERT(cells == r->cells.count - r->cells.free_count);
}
