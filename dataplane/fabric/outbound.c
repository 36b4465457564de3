/* outbound.c - nodes of one pool in three lists a client, found by packet id.
 *
 * An id is in the map from the moment it is known: an entry's when it arrives,
 * one of our own when its message is about to be sent. */
#include "dataplane/fabric/outbound.h"

#include "dataplane/base/assert.h"

#include <stdlib.h>

enum { IDS = 65535, ID_BITS = 16, ALIGN = 64 };

struct outbounds {
	struct pool nodes;
	struct idmap ids; /* beside it */
	struct outbounds_conf conf;
};

static size_t aligned(size_t size)
{
	return (size + ALIGN - 1) & ~(size_t)(ALIGN - 1);
}

size_t outbounds_bytes(const struct outbounds_conf *conf)
{
	return aligned(sizeof(struct outbounds)) +
	       aligned(pool_bytes(conf->nodes_max, sizeof(struct outbound_node))) +
	       aligned(idmap_bytes(conf->nodes_max));
}

size_t outbounds_used(const struct outbounds *all)
{
	return pool_used(&all->nodes) + all->nodes.out * IDMAP_ENTRY_BYTES;
}

struct outbounds *outbounds_create(const struct outbounds_conf *conf)
{
	uint8_t *memory = (uint8_t *)aligned_alloc(ALIGN, outbounds_bytes(conf));
	struct outbounds *all = (struct outbounds *)(void *)memory;

	if (memory == NULL)
		return NULL;
	*all = (struct outbounds){.conf = *conf};
	memory += aligned(sizeof(*all));
	pool_init(&all->nodes, memory, conf->nodes_max, sizeof(struct outbound_node));
	memory += aligned(pool_bytes(conf->nodes_max, sizeof(struct outbound_node)));
	idmap_init(&all->ids, memory, conf->nodes_max);
	return all;
}

void outbounds_destroy(struct outbounds **all)
{
	if (*all == NULL)
		return;
	ASSERT((*all)->nodes.out == 0);
	free(*all);
	*all = NULL;
}

/* Nodes and lists */

static struct outbound_node *at(const struct outbound *o, uint32_t index)
{
	return (struct outbound_node *)pool_at(&o->all->nodes, index);
}

static uint32_t index_of(const struct outbound *o, const struct outbound_node *n)
{
	return (uint32_t)(n - (const struct outbound_node *)(void *)o->all->nodes.objects);
}

static struct outbound_list *list_of(struct outbound *o, const struct outbound_node *n)
{
	if (n->state == OUTBOUND_WAITING)
		return &o->waiting;
	return n->state == OUTBOUND_RELEASING ? &o->due : &o->flight;
}

static void append(struct outbound *o, struct outbound_node *n)
{
	struct outbound_list *list = list_of(o, n);
	const uint32_t index = index_of(o, n);

	n->next = POOL_NONE;
	n->prev = list->last;
	if (list->last == POOL_NONE)
		list->first = index;
	else
		at(o, list->last)->next = index;
	list->last = index;
	list->count++;
}

static void unlink_node(struct outbound *o, struct outbound_node *n)
{
	struct outbound_list *list = list_of(o, n);

	if (n->prev == POOL_NONE)
		list->first = n->next;
	else
		at(o, n->prev)->next = n->next;
	if (n->next == POOL_NONE)
		list->last = n->prev;
	else
		at(o, n->next)->prev = n->prev;
	ASSERT(list->count > 0);
	list->count--;
}

static enum counter gauge_of(const struct outbound_node *n)
{
	return n->state == OUTBOUND_WAITING ? COUNTER_QUEUED : COUNTER_INFLIGHT;
}

static void move(struct outbound *o, struct outbound_node *n, enum outbound_state to)
{
	counter_sub(o->all->conf.counters, gauge_of(n), 1);
	unlink_node(o, n);
	n->state = (uint8_t)to;
	append(o, n);
	counter_add(o->all->conf.counters, gauge_of(n), 1);
}

/* Packet ids */

static uint64_t key_of(const struct outbound *o, uint16_t packet_id)
{
	return o->serial << ID_BITS | packet_id;
}

static uint16_t id_of_entry(uint64_t entry)
{
	return (uint16_t)(entry % IDS + 1);
}

static bool id_in_use(const struct outbound *o, uint16_t packet_id)
{
	return idmap_find(&o->all->ids, key_of(o, packet_id)) != POOL_NONE;
}

/* Entries' ids go up: one of ours is taken from below the last, where they come last. */
static uint16_t step_of(const struct outbound *o, uint16_t id)
{
	if (o->durable)
		return id <= 1 ? IDS : (uint16_t)(id - 1);
	return id == IDS ? 1 : (uint16_t)(id + 1);
}

/* 0: all are in use. */
static uint16_t free_id(const struct outbound *o)
{
	uint16_t id = o->last_id;

	for (uint32_t i = 0; i < IDS; i++) {
		id = step_of(o, id);
		if (!id_in_use(o, id))
			return id;
	}
	return 0;
}

static void give_id(struct outbound *o, struct outbound_node *n, uint16_t packet_id)
{
	n->packet_id = packet_id;
	idmap_set(&o->all->ids, key_of(o, packet_id), index_of(o, n));
	if (!o->durable || n->delivery.entry != 0)
		o->last_id = packet_id;
}

/* Life */

void outbound_open(struct outbound *o, struct outbounds *all, uint64_t serial)
{
	const struct outbound_list none = {POOL_NONE, POOL_NONE, 0};

	ASSERT(serial < UINT64_C(1) << (64 - ID_BITS));
	*o = (struct outbound){.all = all,
		.serial = serial,
		.waiting = none,
		.flight = none,
		.due = none,
		.receive_max = UINT16_MAX};
}

void outbound_drop(struct outbound *o, struct outbound_node *n)
{
	const bool counted = n->state != OUTBOUND_WAITING && !n->resumed;

	if (n->packet_id != 0)
		idmap_drop(&o->all->ids, key_of(o, n->packet_id));
	if (counted) {
		ASSERT(o->sent > 0);
		o->sent--;
	}
	counter_sub(o->all->conf.counters, gauge_of(n), 1);
	unlink_node(o, n);
	if (n->message != NULL)
		message_put(&n->message);
	pool_put(&o->all->nodes, index_of(o, n));
}

static void clear(struct outbound *o, const struct outbound_list *list)
{
	while (list->first != POOL_NONE)
		outbound_drop(o, at(o, list->first));
}

void outbound_clear(struct outbound *o)
{
	clear(o, &o->waiting);
	clear(o, &o->flight);
	clear(o, &o->due);
	ASSERT(o->sent == 0);
}

bool outbound_window_open(const struct outbound *o)
{
	return o->sent < o->receive_max && o->sent < o->all->conf.inflight_max;
}

static struct outbound_node *begin(
	struct outbound *o, const struct delivery *d, enum outbound_state state, uint8_t qos)
{
	const uint32_t index = pool_get(&o->all->nodes);

	if (index == POOL_NONE)
		return NULL;
	struct outbound_node *n = at(o, index);
	*n = (struct outbound_node){.delivery = *d, .state = (uint8_t)state, .qos = qos};
	append(o, n);
	counter_add(o->all->conf.counters, gauge_of(n), 1);
	return n;
}

/* *here: the entry is known already. */
static enum err judge_entry(const struct outbound *o, uint64_t entry, bool *here)
{
	const uint32_t index = idmap_find(&o->all->ids, key_of(o, id_of_entry(entry)));

	*here = index != POOL_NONE && at(o, index)->delivery.entry == entry;
	return index == POOL_NONE || *here ? ERR_NONE : ERR_MQTT_PACKET_ID_IN_USE;
}

/* What can be sent at once needs no place among those that wait. */
static bool queue_full(const struct outbound *o)
{
	return o->waiting.count >= o->all->conf.queued_max &&
	       (o->waiting.count > 0 || !outbound_window_open(o));
}

enum err outbound_push(struct outbound *o, struct message *m, const struct delivery *d, uint8_t qos)
{
	bool here = false;
	enum err e = ERR_NONE;

	ASSERT(qos == 1 || qos == 2);
	if (d->entry != 0)
		e = judge_entry(o, d->entry, &here);
	else if (queue_full(o))
		e = ERR_QUEUE_FULL;
	if (e != ERR_NONE || here)
		return e;
	struct outbound_node *n = begin(o, d, OUTBOUND_WAITING, qos);
	if (n == NULL)
		return ERR_INFLIGHT_FULL;
	n->message = message_ref(m);
	if (d->entry != 0)
		give_id(o, n, id_of_entry(d->entry));
	return ERR_NONE;
}

enum err outbound_resume(struct outbound *o, uint64_t entry)
{
	const struct delivery d = {.entry = entry};
	bool here;
	const enum err e = judge_entry(o, entry, &here);

	if (e != ERR_NONE || here)
		return e;
	struct outbound_node *n = begin(o, &d, OUTBOUND_RELEASING, 2);
	if (n == NULL)
		return ERR_INFLIGHT_FULL;
	n->resumed = true;
	give_id(o, n, id_of_entry(entry));
	return ERR_NONE;
}

struct outbound_node *outbound_next(struct outbound *o)
{
	if (o->waiting.first == POOL_NONE)
		return NULL;
	struct outbound_node *n = at(o, o->waiting.first);
	if (n->delivery.entry != 0)
		return o->sent < o->receive_max ? n : NULL;
	if (!outbound_window_open(o))
		return NULL;
	if (n->packet_id == 0) {
		const uint16_t id = free_id(o);
		if (id == 0)
			return NULL;
		give_id(o, n, id);
	}
	return n;
}

struct outbound_node *outbound_due(const struct outbound *o)
{
	return o->due.first == POOL_NONE ? NULL : at(o, o->due.first);
}

struct outbound_node *outbound_find(const struct outbound *o, uint16_t packet_id)
{
	const uint32_t index = idmap_find(&o->all->ids, key_of(o, packet_id));

	if (index == POOL_NONE || at(o, index)->state == OUTBOUND_WAITING)
		return NULL;
	return at(o, index);
}

struct outbound_node *outbound_find_entry(const struct outbound *o, uint64_t entry)
{
	struct outbound_node *n = outbound_find(o, id_of_entry(entry));

	return n != NULL && n->delivery.entry == entry ? n : NULL;
}

void outbound_sent(struct outbound *o, struct outbound_node *n)
{
	ASSERT(n->state == OUTBOUND_WAITING);
	ASSERT(n->packet_id != 0);
	message_put(&n->message);
	o->sent++;
	move(o, n, OUTBOUND_SENT);
}

void outbound_receiving(struct outbound *o, struct outbound_node *n)
{
	ASSERT(n->state == OUTBOUND_SENT);
	move(o, n, OUTBOUND_RECEIVING);
}

void outbound_releasing(struct outbound *o, struct outbound_node *n)
{
	ASSERT(n->state != OUTBOUND_WAITING);
	ASSERT(n->qos == 2);
	move(o, n, OUTBOUND_RELEASING);
}

void outbound_released(struct outbound *o, struct outbound_node *n)
{
	ASSERT(n->state == OUTBOUND_RELEASING);
	move(o, n, OUTBOUND_RELEASED);
}

static void check_node(const struct outbound *o, const struct outbound_node *n)
{
	const bool waiting = n->state == OUTBOUND_WAITING;

	ASSERT(n->qos == 1 || n->qos == 2);
	ASSERT(waiting == (n->message != NULL));
	ASSERT(waiting || n->packet_id != 0);
	ASSERT(n->state <= OUTBOUND_SENT || n->qos == 2);
	ASSERT(n->packet_id == 0 ||
		idmap_find(&o->all->ids, key_of(o, n->packet_id)) == index_of(o, n));
	ASSERT(n->delivery.entry == 0 || n->packet_id == id_of_entry(n->delivery.entry));
}

static uint32_t check_list(struct outbound *o, const struct outbound_list *list)
{
	uint32_t prev = POOL_NONE, count = 0, sent = 0;

	for (uint32_t i = list->first; i != POOL_NONE; i = at(o, i)->next) {
		const struct outbound_node *n = at(o, i);
		ASSERT(list_of(o, n) == list);
		ASSERT(n->prev == prev);
		check_node(o, n);
		sent += n->state != OUTBOUND_WAITING && !n->resumed;
		prev = i;
		count++;
	}
	ASSERT(list->last == prev);
	ASSERT(list->count == count);
	return sent;
}

void outbound_check(const struct outbound *o)
{
	struct outbound *own = (struct outbound *)(uintptr_t)o; /* lists are only compared */

	ASSERT(o->receive_max != 0);
	const uint32_t sent = check_list(own, &o->waiting) + check_list(own, &o->flight) +
			      check_list(own, &o->due);
	ASSERT(sent == o->sent);
	ASSERT(sent <= o->receive_max);
}
