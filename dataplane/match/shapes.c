/* shapes.c - the registry of shapes and their hashes.
 *
 * Each level is hashed with a key of its own place, and the hashes are joined
 * by exclusive or: tabulation hashing with SipHash for its tables, for which
 * linear probing is known to take constant time (Patrascu and Thorup). Places
 * are told apart by the key because "a/b" and "b/a" must differ. */
#include "dataplane/match/shapes.h"

#include "dataplane/base/assert.h"

enum { SEED_PLACE = MATCH_LEVELS_MAX + 1 }; /* a key that no level has */

static_assert(sizeof(struct shape_form) == MATCH_LEVELS_MAX / 8 + 8, "hashed and compared whole");
static_assert(sizeof(struct shape) % 8 == 0, "shapes lie in an array");

static size_t pool_part(void)
{
	return (pool_bytes(MATCH_SHAPES_MAX, sizeof(struct shape)) + 63) & ~(size_t)63;
}

size_t shapes_bytes(void)
{
	return pool_part() + index_bytes(MATCH_SHAPES_MAX);
}

void shapes_init(struct shapes *s, void *memory, struct hash_key key)
{
	*s = (struct shapes){.key = key};
	pool_init(&s->pool, memory, MATCH_SHAPES_MAX, sizeof(struct shape));
	index_init(&s->index, (uint8_t *)memory + pool_part(), MATCH_SHAPES_MAX);
	for (uint32_t n = 0; n <= MATCH_LEVELS_MAX; n++)
		s->first[0][n] = s->first[1][n] = SHAPES_NONE;
}

static struct hash_key key_of_place(const struct shapes *s, uint32_t place)
{
	return (struct hash_key){s->key.k0 ^ place, s->key.k1};
}

static uint64_t seed_of(const struct shapes *s, const struct shape_form *form)
{
	return siphash(key_of_place(s, SEED_PLACE), span_of(form, sizeof(*form)));
}

struct shape_form shape_form_of(struct span filter, const struct levels *l)
{
	struct shape_form form = {.levels = l->count};

	if (levels_is(levels_at(filter, l, l->count - 1), '#')) {
		form.open = 1;
		form.levels--;
	}
	for (uint32_t i = 0; i < form.levels; i++)
		if (levels_is(levels_at(filter, l, i), '+'))
			form.wild[i / 64] |= (uint64_t)1 << (i % 64);
	return form;
}

static uint32_t find(const struct shapes *s, const struct shape_form *form, uint64_t seed)
{
	const uint32_t hash = (uint32_t)(seed >> 32);
	uint32_t at = index_home(&s->index, hash);

	for (;;) {
		const uint32_t found = index_next(&s->index, hash, &at);
		if (found == INDEX_NONE)
			return SHAPES_NONE;
		if (memcmp(&shapes_at(s, found)->form, form, sizeof(*form)) == 0)
			return found;
	}
}

uint32_t shapes_find(const struct shapes *s, const struct shape_form *form)
{
	return find(s, form, seed_of(s, form));
}

static void link_shape(struct shapes *s, uint32_t index)
{
	struct shape *shape = pool_at(&s->pool, index);
	uint32_t *first = &s->first[shape->form.open][shape->form.levels];

	shape->prev = SHAPES_NONE;
	shape->next = *first;
	if (*first != SHAPES_NONE)
		((struct shape *)pool_at(&s->pool, *first))->prev = index;
	*first = index;
	if (shape->form.open)
		s->open_used[shape->form.levels / 64] |= (uint64_t)1 << (shape->form.levels % 64);
}

static void unlink_shape(struct shapes *s, const struct shape *shape)
{
	uint32_t *first = &s->first[shape->form.open][shape->form.levels];

	if (shape->prev == SHAPES_NONE)
		*first = shape->next;
	else
		((struct shape *)pool_at(&s->pool, shape->prev))->next = shape->next;
	if (shape->next != SHAPES_NONE)
		((struct shape *)pool_at(&s->pool, shape->next))->prev = shape->prev;
	if (shape->form.open && *first == SHAPES_NONE)
		s->open_used[shape->form.levels / 64] &=
			~((uint64_t)1 << (shape->form.levels % 64));
}

uint32_t shapes_get(struct shapes *s, const struct shape_form *form)
{
	const uint64_t seed = seed_of(s, form);
	uint32_t index = find(s, form, seed);

	if (index == SHAPES_NONE) {
		index = pool_get(&s->pool);
		if (index == POOL_NONE)
			return SHAPES_NONE;
		*(struct shape *)pool_at(&s->pool, index) =
			(struct shape){.form = *form, .seed = seed};
		link_shape(s, index);
		index_add(&s->index, (uint32_t)(seed >> 32), index);
	}
	((struct shape *)pool_at(&s->pool, index))->filters++;
	return index;
}

void shapes_put(struct shapes *s, uint32_t index)
{
	struct shape *shape = pool_at(&s->pool, index);

	ASSERT(shape->filters > 0);
	if (--shape->filters > 0)
		return;
	unlink_shape(s, shape);
	index_drop(&s->index, (uint32_t)(shape->seed >> 32), index);
	pool_put(&s->pool, index);
}

void shapes_hash_topic(
	const struct shapes *s, struct span topic, const struct levels *l, struct hashes *out)
{
	out->before[0] = 0;
	for (uint32_t i = 0; i < l->count; i++) {
		out->level[i] = siphash(key_of_place(s, i), levels_at(topic, l, i));
		out->before[i + 1] = out->before[i] ^ out->level[i];
	}
}

uint64_t shapes_hash_filter(const struct shapes *s, const struct shape_form *form,
	struct span filter, const struct levels *l)
{
	uint64_t key = seed_of(s, form);

	for (uint32_t i = 0; i < form->levels; i++)
		if (!shape_is_wild(form, i))
			key ^= siphash(key_of_place(s, i), levels_at(filter, l, i));
	return key;
}

void shapes_check(const struct shapes *s)
{
	uint32_t linked = 0;

	for (uint32_t open = 0; open < 2; open++) {
		for (uint32_t n = 0; n <= MATCH_LEVELS_MAX; n++) {
			uint32_t prev = SHAPES_NONE;
			for (uint32_t i = s->first[open][n]; i != SHAPES_NONE;) {
				const struct shape *shape = pool_at(&s->pool, i);
				ASSERT(shape->form.open == open && shape->form.levels == n);
				ASSERT(shape->prev == prev);
				ASSERT(shape->filters > 0);
				linked++;
				prev = i;
				i = shape->next;
			}
			if (open)
				ASSERT((s->open_used[n / 64] >> (n % 64) & 1) ==
					(s->first[1][n] != SHAPES_NONE));
		}
	}
	ASSERT(linked == s->pool.out);
	ASSERT(linked == s->index.used);
	index_check(&s->index);
}
