/* idmap.c - chains of pool indices, by the hash of their keys. */
#include "dataplane/base/idmap.h"

#include "dataplane/base/assert.h"

enum { KEY_BITS = 64, BUCKET_BITS_MIN = 4 };

static uint32_t bucket_bits(uint32_t count)
{
	uint32_t bits = BUCKET_BITS_MIN;

	while (bits < 31 && (UINT32_C(1) << bits) < count)
		bits++;
	return bits;
}

/* Fibonacci hashing: numbers in a row, as ids are, fall far apart. */
static uint32_t *bucket_of(const struct idmap *m, uint64_t key)
{
	return &m->heads[(key * UINT64_C(0x9e3779b97f4a7c15)) >> m->shift];
}

size_t idmap_bytes(uint32_t count)
{
	const size_t buckets = (size_t)1 << bucket_bits(count);

	return count * (sizeof(uint64_t) + sizeof(uint32_t)) + buckets * sizeof(uint32_t);
}

void idmap_init(struct idmap *m, void *memory, uint32_t count)
{
	const uint32_t bits = bucket_bits(count);

	m->keys = (uint64_t *)memory;
	m->next = (uint32_t *)(m->keys + count);
	m->heads = m->next + count;
	m->shift = KEY_BITS - bits;
	for (size_t i = 0; i < (size_t)1 << bits; i++)
		m->heads[i] = POOL_NONE;
}

void idmap_set(struct idmap *m, uint64_t key, uint32_t index)
{
	uint32_t *head = bucket_of(m, key);

	ASSERT(idmap_find(m, key) == POOL_NONE);
	m->keys[index] = key;
	m->next[index] = *head;
	*head = index;
}

uint32_t idmap_find(const struct idmap *m, uint64_t key)
{
	uint32_t index = *bucket_of(m, key);

	while (index != POOL_NONE && m->keys[index] != key)
		index = m->next[index];
	return index;
}

void idmap_drop(struct idmap *m, uint64_t key)
{
	uint32_t *at = bucket_of(m, key);

	while (*at != POOL_NONE && m->keys[*at] != key)
		at = &m->next[*at];
	ASSERT(*at != POOL_NONE);
	*at = m->next[*at];
}
