/* mqtt_alias.c - topic aliases that a client sets: numbers that stand for topics.
 *
 * A topic lies in pieces of one pool of the worker and is put together when an
 * alias is used. What one client may fill is limited, so that it cannot take
 * the pool from the others; when the pool is nearly full, new clients are
 * offered no aliases.
 *
 * Spec: MQTT 5.0 3.2.2.3.8, 3.3.2.3.4. */
#include "dataplane/session/mqtt_messages.h"

enum {
	ALIAS_BITS = 16,
	CHUNKS_AN_ALIAS = 4, /* of one client, on average */
	CHUNKS_MIN = 16,
	OFFER_SHARE = 4, /* offered while so much of the pool, as a fraction, is free */
};

static struct mqtt_alias_chunk *at(const struct mqtt_session *s, uint32_t index)
{
	return (struct mqtt_alias_chunk *)pool_at(&s->conf->memory->chunks, index);
}

static uint64_t key_of(const struct mqtt_session *s, uint16_t alias)
{
	return s->out.serial << ALIAS_BITS | alias;
}

bool mqtt_alias_offer(const struct mqtt_session *s)
{
	const struct pool *p = &s->conf->memory->chunks;

	return s->conf->topic_alias_max != 0 && p->count - p->out > p->count / OFFER_SHARE;
}

static uint32_t chunks_of(size_t size)
{
	return (uint32_t)((size + MQTT_ALIAS_CHUNK_BYTES - 1) / MQTT_ALIAS_CHUNK_BYTES);
}

static void give_back(struct mqtt_session *s, uint32_t first)
{
	for (uint32_t more; first != POOL_NONE; first = more) {
		more = at(s, first)->more;
		pool_put(&s->conf->memory->chunks, first);
		s->alias_chunks--;
	}
}

static void forget(struct mqtt_session *s, uint16_t alias)
{
	const uint32_t index = idmap_find(&s->conf->memory->aliases, key_of(s, alias));
	uint32_t *link = &s->aliases;

	if (index == POOL_NONE)
		return;
	while (*link != index)
		link = &at(s, *link)->next;
	*link = at(s, index)->next;
	idmap_drop(&s->conf->memory->aliases, key_of(s, alias));
	give_back(s, index);
}

void mqtt_alias_clear(struct mqtt_session *s)
{
	while (s->aliases != POOL_NONE)
		forget(s, at(s, s->aliases)->alias);
	ASSERT(s->alias_chunks == 0);
}

/* The last piece first, so that each knows the next. */
static uint32_t lay_out(struct mqtt_session *s, struct span topic)
{
	uint32_t more = POOL_NONE;

	for (uint32_t i = chunks_of(topic.size); i > 0; i--) {
		const struct span rest = span_skip(topic, (size_t)(i - 1) * MQTT_ALIAS_CHUNK_BYTES);
		const uint32_t index = pool_get(&s->conf->memory->chunks);
		ASSERT(index != POOL_NONE);
		struct mqtt_alias_chunk *c = at(s, index);
		*c = (struct mqtt_alias_chunk){.more = more, .next = POOL_NONE};
		memcpy(c->bytes, rest.at,
			rest.size < sizeof(c->bytes) ? rest.size : sizeof(c->bytes));
		s->alias_chunks++;
		more = index;
	}
	return more;
}

static enum err set(struct mqtt_session *s, uint16_t alias, struct span topic)
{
	struct mqtt_memory *memory = s->conf->memory;
	const uint32_t wanted = chunks_of(topic.size);
	const uint32_t most = CHUNKS_MIN + CHUNKS_AN_ALIAS * s->conf->topic_alias_max;

	forget(s, alias);
	if (wanted > memory->chunks.count - memory->chunks.out || s->alias_chunks + wanted > most)
		return ERR_MQTT_QUOTA;
	const uint32_t first = lay_out(s, topic);
	at(s, first)->alias = alias;
	at(s, first)->size = (uint16_t)topic.size;
	at(s, first)->next = s->aliases;
	s->aliases = first;
	idmap_set(&memory->aliases, key_of(s, alias), first);
	return ERR_NONE;
}

/* In the worker's buffer: valid until the next alias is used. */
static enum err get(struct mqtt_session *s, uint16_t alias, struct span *topic)
{
	struct writer w = writer_of(s->conf->memory->topic, sizeof(s->conf->memory->topic));
	uint32_t index = idmap_find(&s->conf->memory->aliases, key_of(s, alias));

	if (index == POOL_NONE)
		return ERR_MQTT_PROTOCOL; /* 3.3.2.3.4: it stands for nothing */
	const size_t size = at(s, index)->size;
	for (; index != POOL_NONE; index = at(s, index)->more) {
		const size_t left = size - writer_used(&w);
		write_bytes(
			&w, span_of(at(s, index)->bytes,
				    left < MQTT_ALIAS_CHUNK_BYTES ? left : MQTT_ALIAS_CHUNK_BYTES));
	}
	ASSERT(!w.bad);
	*topic = writer_span(&w);
	return ERR_NONE;
}

enum err mqtt_alias_resolve(struct mqtt_session *s, struct mqtt_publish *p)
{
	const uint16_t alias = p->props.topic_alias;

	if (!mqtt_is_v5(s) || !mqtt_props_has(&p->props, MQTT_PROPERTY_TOPIC_ALIAS))
		return ERR_NONE;
	if (alias == 0 || !s->aliases_offered || alias > s->conf->topic_alias_max)
		return ERR_MQTT_TOPIC_ALIAS; /* 3.3.2-8, 3.3.2-9 */
	return p->topic.size == 0 ? get(s, alias, &p->topic) : set(s, alias, p->topic);
}
