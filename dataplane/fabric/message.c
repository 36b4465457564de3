/* message.c - heads from two pools, payload bytes in chains of the caller's segments.
 *
 * A message's struct and its small head lie in one object; a head that does
 * not fit gets a large one beside it. */
#include "dataplane/fabric/message.h"

#include "dataplane/base/assert.h"
#include "dataplane/base/pool.h"

#include <stdlib.h>

struct small {
	struct message message;
	uint8_t head[MESSAGE_HEAD_SMALL];
} ALIGNED(64);

struct messages {
	struct pool pool;  /* struct small */
	struct pool large; /* heads of MESSAGE_HEAD_LARGE bytes */
	struct rte_mempool *segments;
	uint32_t segments_reserve;
	uint32_t share_reserve, large_share_reserve;
	uint32_t segment_bytes; /* payload bytes of one */
	uint32_t payload_max;
	struct counters *counters;
};

static size_t round_up(size_t bytes)
{
	return (bytes + 63) & ~(size_t)63;
}

static size_t small_bytes(const struct messages_conf *conf)
{
	return round_up(pool_bytes(conf->count, sizeof(struct small)));
}

size_t messages_bytes(const struct messages_conf *conf)
{
	return round_up(sizeof(struct messages)) + small_bytes(conf) +
	       round_up(pool_bytes(conf->large_count, MESSAGE_HEAD_LARGE));
}

size_t messages_used(const struct messages *m)
{
	return pool_used(&m->pool) + pool_used(&m->large);
}

struct messages *messages_create(const struct messages_conf *conf)
{
	const size_t own = round_up(sizeof(struct messages));
	const size_t small = small_bytes(conf), all = messages_bytes(conf);
	uint8_t *memory = aligned_alloc(64, all);
	if (memory == NULL)
		return NULL;

	/* Touched now, so that no page fault comes later. */
	memset(memory, 0, all);
	struct messages *m = (struct messages *)memory;
	pool_init(&m->pool, memory + own, conf->count, sizeof(struct small));
	pool_init(&m->large, memory + own + small, conf->large_count, MESSAGE_HEAD_LARGE);
	m->segments = conf->segments;
	m->segments_reserve = conf->segments_reserve;
	m->share_reserve = conf->share_reserve;
	m->large_share_reserve = conf->large_share_reserve;
	m->counters = conf->counters;
	m->segment_bytes = rte_pktmbuf_data_room_size(conf->segments) - RTE_PKTMBUF_HEADROOM;
	const uint64_t chain = (uint64_t)UINT16_MAX * m->segment_bytes;
	m->payload_max = chain < MESSAGE_PAYLOAD_MAX ? (uint32_t)chain : MESSAGE_PAYLOAD_MAX;
	return m;
}

void messages_destroy(struct messages **m)
{
	if (*m != NULL) {
		ASSERT((*m)->pool.out == 0);
		ASSERT((*m)->large.out == 0);
	}
	free(*m);
	*m = NULL;
}

uint32_t messages_alive(const struct messages *m)
{
	return m->pool.out;
}

/* Sizes are peers' 16- and 32-bit numbers: their sum fits a size_t. */
static size_t head_bytes(struct span topic, const struct message_props *props)
{
	return topic.size + props->content_type.size + props->reply_to.size +
	       props->correlation.size + props->user.size;
}

static uint32_t segments_for(const struct messages *m, uint32_t bytes)
{
	return bytes / m->segment_bytes + (bytes % m->segment_bytes != 0);
}

bool message_fits(const struct messages *store, struct span topic,
	const struct message_props *props, uint32_t payload_size)
{
	const size_t head = head_bytes(topic, props);

	if (head > MESSAGE_HEAD_LARGE || (head > MESSAGE_HEAD_SMALL && store->large.count == 0))
		return false;
	if (store->pool.count == 0 || payload_size > store->payload_max)
		return false;
	return payload_size == 0 ||
	       (uint64_t)segments_for(store, payload_size) + store->segments_reserve <=
		       store->segments->size;
}

/* An empty payload takes nothing, so it is let in even into the reserve. */
static bool segments_suffice(const struct messages *m, uint32_t payload_size)
{
	return payload_size == 0 ||
	       rte_mempool_avail_count(m->segments) >=
		       (uint64_t)segments_for(m, payload_size) + m->segments_reserve;
}

/* An object of the first pool and, if need be, a head from the second. */
static struct message *take(struct messages *store, size_t head_size, uint8_t **head)
{
	const bool large = head_size > MESSAGE_HEAD_SMALL;

	const uint32_t index = pool_get(&store->pool);
	if (index == POOL_NONE)
		return NULL;
	struct small *small = pool_at(&store->pool, index);
	*head = small->head;
	if (large) {
		const uint32_t at = pool_get(&store->large);
		if (at == POOL_NONE) {
			pool_put(&store->pool, index);
			return NULL;
		}
		*head = pool_at(&store->large, at);
	}
	small->message = (struct message){.large_head = large, .store = store};
	return &small->message;
}

static struct span copy(uint8_t **to, struct span from)
{
	const struct span out = {*to, from.size};

	if (from.size != 0)
		memcpy(*to, from.at, from.size);
	*to += from.size;
	return out;
}

/* Heads beyond the reserve. */
static bool heads_suffice(const struct messages *m, size_t head_size)
{
	if (m->pool.count - m->pool.out <= m->share_reserve)
		return false;
	return head_size <= MESSAGE_HEAD_SMALL ||
	       m->large.count - m->large.out > m->large_share_reserve;
}

static struct message *begin(struct messages *store, struct span topic,
	const struct message_props *props, uint32_t payload_size, bool reserve)
{
	const size_t size = head_bytes(topic, props);
	struct message *m = NULL;
	uint8_t *head;

	if (message_fits(store, topic, props, payload_size) &&
		segments_suffice(store, payload_size) && (reserve || heads_suffice(store, size)))
		m = take(store, size, &head);
	if (m == NULL) {
		counter_err(store->counters, ERR_NO_MESSAGES);
		return NULL;
	}
	/* The topic first, even an empty one: give_back finds a large head by it. */
	m->topic = copy(&head, topic);
	m->props = *props;
	m->props.content_type = copy(&head, props->content_type);
	m->props.reply_to = copy(&head, props->reply_to);
	m->props.correlation = copy(&head, props->correlation);
	m->props.user = copy(&head, props->user);
	m->publisher = POOL_NONE;
	m->refs = 1;
	m->payload_size = payload_size;
	return m;
}

struct message *message_begin(struct messages *store, struct span topic,
	const struct message_props *props, uint32_t payload_size)
{
	return begin(store, topic, props, payload_size, false);
}

/* So many empty segments, linked by `next`. NULL: there are not. */
static struct rte_mbuf *take_segments(const struct messages *store, uint32_t count)
{
	struct rte_mbuf *first = NULL;

	while (count-- > 0) {
		struct rte_mbuf *segment = rte_pktmbuf_alloc(store->segments);
		if (segment == NULL) {
			rte_pktmbuf_free(first);
			return NULL;
		}
		segment->next = first;
		first = segment;
	}
	return first;
}

/* Copies from the chunk what fits behind the segment's bytes; answers the rest. */
static struct span fill_segment(
	const struct messages *store, struct rte_mbuf *segment, struct span chunk)
{
	const size_t room = store->segment_bytes - segment->data_len;
	const size_t n = chunk.size < room ? chunk.size : room;

	memcpy(rte_pktmbuf_mtod_offset(segment, uint8_t *, segment->data_len), chunk.at, n);
	segment->data_len = (uint16_t)(segment->data_len + n);
	return span_skip(chunk, n);
}

/* Links `count` empty segments behind the last one, and fills them. */
static void add_segments(
	struct message *m, struct rte_mbuf *segments, uint32_t count, struct span chunk)
{
	if (m->payload == NULL) {
		m->payload = segments;
		segments->nb_segs = (uint16_t)count;
	} else {
		m->last->next = segments;
		m->payload->nb_segs = (uint16_t)(m->payload->nb_segs + count);
	}
	for (struct rte_mbuf *s = segments; s != NULL; s = s->next) {
		chunk = fill_segment(m->store, s, chunk);
		m->last = s;
	}
	ASSERT(chunk.size == 0);
}

bool message_append(struct message *m, struct span chunk)
{
	const struct messages *store = m->store;

	ASSERT(m->refs == 1);
	ASSERT(chunk.size <= m->payload_size - m->payload_have);
	if (chunk.size == 0)
		return true;
	const uint32_t size = (uint32_t)chunk.size;
	const uint32_t room = m->last == NULL ? 0 : store->segment_bytes - m->last->data_len;
	const uint32_t count = size <= room ? 0 : segments_for(store, size - room);
	struct rte_mbuf *segments = take_segments(store, count);
	if (count > 0 && segments == NULL) {
		counter_err(store->counters, ERR_NO_BUFFERS);
		return false;
	}

	if (room > 0)
		chunk = fill_segment(store, m->last, chunk);
	if (count > 0)
		add_segments(m, segments, count, chunk);
	m->payload_have += size;
	m->payload->pkt_len = m->payload_have;
	return true;
}

struct message *message_ref(struct message *m)
{
	ASSERT(m->refs > 0);
	ASSERT(m->refs < UINT32_MAX);
	m->refs++;
	return m;
}

/* The owner's own reference keeps each count above 0 here; only a count that nobody else may touch
 * can be 1, so DPDK's short cut for it is safe. */
void message_lend(struct message *m)
{
	ASSERT(message_whole(m));
	for (struct rte_mbuf *s = m->payload; s != NULL; s = s->next)
		rte_mbuf_refcnt_update(s, 1);
}

bool message_may_lend_on(const struct messages *store, const struct message *lent)
{
	return heads_suffice(store, head_bytes(lent->topic, &lent->props));
}

struct message *message_share(struct messages *store, const struct message *lent)
{
	struct message *m = begin(store, lent->topic, &lent->props, 0, true);

	if (m == NULL)
		return NULL;
	m->payload = lent->payload;
	m->payload_size = m->payload_have = lent->payload_size;
	m->qos = lent->qos;
	m->retain = lent->retain;
	m->born_us = lent->born_us;
	m->origin = lent->origin;
	return m;
}

static void give_back(struct message *m)
{
	struct messages *store = m->store;

	/* Segments that a transport still lends out are freed by their last user. */
	rte_pktmbuf_free(m->payload);
	if (m->large_head)
		pool_put(&store->large, (uint32_t)((size_t)(m->topic.at - store->large.objects) /
						   MESSAGE_HEAD_LARGE));
	pool_put(&store->pool,
		(uint32_t)((size_t)((uint8_t *)m - store->pool.objects) / sizeof(struct small)));
}

void message_put(struct message **m)
{
	struct message *gone = *m;

	*m = NULL;
	ASSERT(gone->refs > 0);
	if (--gone->refs == 0)
		give_back(gone);
}
