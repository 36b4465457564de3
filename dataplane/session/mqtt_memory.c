/* mqtt_memory.c - see mqtt_memory.h: one piece of memory, cut into pools. */
#include "dataplane/session/mqtt_memory.h"

#include "dataplane/base/assert.h"

#include <stdlib.h>

enum { ALIGN = 64 };

static size_t aligned(size_t size)
{
	return (size + ALIGN - 1) & ~(size_t)(ALIGN - 1);
}

static size_t own_bytes(const struct mqtt_memory_conf *c)
{
	return aligned(sizeof(struct mqtt_memory)) +
	       aligned(pool_bytes(c->inbound_max, sizeof(struct mqtt_inbound_node))) +
	       aligned(idmap_bytes(c->inbound_max)) +
	       aligned(pool_bytes(c->alias_chunks_max, sizeof(struct mqtt_alias_chunk))) +
	       aligned(idmap_bytes(c->alias_chunks_max)) +
	       aligned(pool_bytes(c->filter_blocks_max, MQTT_FILTERS_ANSWERED_MAX));
}

size_t mqtt_memory_bytes(const struct mqtt_memory_conf *conf)
{
	return own_bytes(conf) + outbounds_bytes(&conf->outbound);
}

size_t mqtt_memory_used(const struct mqtt_memory *m)
{
	return outbounds_used(m->outbounds) + pool_used(&m->inbound) + pool_used(&m->chunks) +
	       (m->inbound.out + m->chunks.out) * IDMAP_ENTRY_BYTES + pool_used(&m->filters);
}

static uint8_t *cut_pool(struct pool *p, uint8_t *memory, uint32_t count, size_t size)
{
	pool_init(p, memory, count, size);
	return memory + aligned(pool_bytes(count, size));
}

static uint8_t *cut_map(struct idmap *m, uint8_t *memory, uint32_t count)
{
	idmap_init(m, memory, count);
	return memory + aligned(idmap_bytes(count));
}

struct mqtt_memory *mqtt_memory_create(const struct mqtt_memory_conf *c)
{
	struct outbounds *outbounds = outbounds_create(&c->outbound);
	uint8_t *at = (uint8_t *)aligned_alloc(ALIGN, own_bytes(c));
	struct mqtt_memory *m = (struct mqtt_memory *)(void *)at;

	if (outbounds == NULL || m == NULL) {
		outbounds_destroy(&outbounds);
		free(at);
		return NULL;
	}
	m->outbounds = outbounds;
	m->serial = 0;
	at += aligned(sizeof(*m));
	at = cut_pool(&m->inbound, at, c->inbound_max, sizeof(struct mqtt_inbound_node));
	at = cut_map(&m->received, at, c->inbound_max);
	at = cut_pool(&m->chunks, at, c->alias_chunks_max, sizeof(struct mqtt_alias_chunk));
	at = cut_map(&m->aliases, at, c->alias_chunks_max);
	cut_pool(&m->filters, at, c->filter_blocks_max, MQTT_FILTERS_ANSWERED_MAX);
	return m;
}

void mqtt_memory_destroy(struct mqtt_memory **memory)
{
	struct mqtt_memory *m = *memory;

	if (m == NULL)
		return;
	ASSERT(m->inbound.out == 0);
	ASSERT(m->chunks.out == 0);
	ASSERT(m->filters.out == 0);
	outbounds_destroy(&m->outbounds);
	free(m);
	*memory = NULL;
}
