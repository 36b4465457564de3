/* mqtt_inbound.c - publishes of QoS 1 and 2 from the client until they are through: what it is
 * owed, in order, and which packet ids of QoS 2 it has not released.
 *
 *	owed: PENDING -> ANSWERED -PUBACK, failed PUBREC-> gone
 *	                 ANSWERED -PUBREC-> held: HELD -PUBREL-> RELEASING -> done -PUBCOMP-> gone
 *
 * Answers leave in the order in which the publishes came (4.6), whichever was
 * durable first.
 *
 * Spec: MQTT 5.0 3.4 to 3.7, 4.3, 4.6, 4.9; 3.1.1 likewise. */
#include "dataplane/session/mqtt_messages.h"

enum mqtt_inbound_state {
	INBOUND_PENDING,   /* the message is on its way to where it must be */
	INBOUND_ANSWERED,  /* its answer waits for earlier ones, or for room */
	INBOUND_HELD,      /* QoS 2: until PUBREL */
	INBOUND_RELEASING, /* until release is done */
	INBOUND_RELEASED,  /* PUBCOMP waits for room */
};

enum {
	ID_BITS = 16,
	IN_USE = 0x91,    /* packet identifier in use */
	NOT_FOUND = 0x92, /* packet identifier not found */
	POOL_SHARE = 4,   /* the part of the pool, as a fraction, that one 3.1.1 client may take */
};

static struct mqtt_inbound_node *at(const struct mqtt_session *s, uint32_t index)
{
	return (struct mqtt_inbound_node *)pool_at(&s->conf->memory->inbound, index);
}

static uint32_t index_of(const struct mqtt_session *s, const struct mqtt_inbound_node *n)
{
	return (uint32_t)(n - (const struct mqtt_inbound_node *)(void *)
				      s->conf->memory->inbound.objects);
}

static struct mqtt_list *list_of(struct mqtt_session *s, const struct mqtt_inbound_node *n)
{
	if (n->state <= INBOUND_ANSWERED)
		return &s->owed;
	return n->state == INBOUND_RELEASED ? &s->done : &s->held;
}

static void append(struct mqtt_session *s, struct mqtt_inbound_node *n)
{
	struct mqtt_list *list = list_of(s, n);
	const uint32_t index = index_of(s, n);

	n->next = POOL_NONE;
	n->prev = list->last;
	if (list->last == POOL_NONE)
		list->first = index;
	else
		at(s, list->last)->next = index;
	list->last = index;
	list->count++;
}

static void unlink_node(struct mqtt_session *s, struct mqtt_inbound_node *n)
{
	struct mqtt_list *list = list_of(s, n);

	if (n->prev == POOL_NONE)
		list->first = n->next;
	else
		at(s, n->prev)->next = n->next;
	if (n->next == POOL_NONE)
		list->last = n->prev;
	else
		at(s, n->next)->prev = n->prev;
	ASSERT(list->count > 0);
	list->count--;
}

static void move(struct mqtt_session *s, struct mqtt_inbound_node *n, enum mqtt_inbound_state to)
{
	unlink_node(s, n);
	n->state = (uint8_t)to;
	append(s, n);
}

static uint64_t key_of(const struct mqtt_session *s, uint16_t packet_id)
{
	return s->out.serial << ID_BITS | packet_id;
}

/* NULL: the id is not among those received. */
static struct mqtt_inbound_node *received(const struct mqtt_session *s, uint16_t packet_id)
{
	const uint32_t index = idmap_find(&s->conf->memory->received, key_of(s, packet_id));

	return index == POOL_NONE ? NULL : at(s, index);
}

static void map(struct mqtt_session *s, struct mqtt_inbound_node *n)
{
	n->mapped = true;
	idmap_set(&s->conf->memory->received, key_of(s, n->packet_id), index_of(s, n));
}

/* NULL: no room now. */
static struct mqtt_inbound_node *begin(struct mqtt_session *s, enum mqtt_inbound_state state,
	enum mqtt_type answer, uint16_t packet_id)
{
	const uint32_t index = pool_get(&s->conf->memory->inbound);

	if (index == POOL_NONE)
		return NULL;
	struct mqtt_inbound_node *n = at(s, index);
	*n = (struct mqtt_inbound_node){
		.packet_id = packet_id, .state = (uint8_t)state, .type = (uint8_t)answer};
	append(s, n);
	s->counted++;
	return n;
}

static void drop(struct mqtt_session *s, struct mqtt_inbound_node *n)
{
	if (n->mapped)
		idmap_drop(&s->conf->memory->received, key_of(s, n->packet_id));
	if (!n->uncounted)
		s->counted--;
	unlink_node(s, n);
	pool_put(&s->conf->memory->inbound, index_of(s, n));
}

static void clear(struct mqtt_session *s, const struct mqtt_list *list)
{
	while (list->first != POOL_NONE)
		drop(s, at(s, list->first));
}

void mqtt_inbound_clear(struct mqtt_session *s)
{
	clear(s, &s->owed);
	clear(s, &s->held);
	clear(s, &s->done);
	ASSERT(s->counted == 0);
}

bool mqtt_inbound_hold(struct mqtt_session *s, uint16_t packet_id)
{
	if (packet_id == 0 || received(s, packet_id) != NULL)
		return true;
	struct mqtt_inbound_node *n = begin(s, INBOUND_HELD, MQTT_PUBREC, packet_id);
	if (n == NULL)
		return false;
	n->uncounted = true; /* 4.9: quotas begin anew with each connection */
	s->counted--;
	map(s, n);
	return true;
}

/* A 3.1.1 client knows no receive maximum: not read on until there is an answer out. What it has to
 * release does not count: the PUBREL may stand behind. */
static bool window_full(const struct mqtt_session *s)
{
	return !mqtt_is_v5(s) && s->owed.count >= s->conf->receive_max;
}

static bool pool_share_taken(const struct mqtt_session *s)
{
	const uint32_t most = s->conf->memory->inbound.count / POOL_SHARE;

	return s->owed.count + s->held.count + s->done.count >= most;
}

enum mqtt_admission mqtt_inbound_admit(
	struct mqtt_session *s, const struct mqtt_publish *p, enum err *why)
{
	const struct mqtt_inbound_node *known = p->qos == 2 ? received(s, p->packet_id) : NULL;

	*why = ERR_NONE;
	if (mqtt_is_v5(s) && s->counted >= s->conf->receive_max) {
		*why = ERR_MQTT_RECEIVE_MAX; /* 3.3.4-7, 4.9.0-1 */
		return MQTT_ADMIT_NEVER;
	}
	if (window_full(s))
		return MQTT_ADMIT_LATER;
	if (known == NULL)
		return MQTT_ADMIT_NEW;
	if (known->state < INBOUND_RELEASING)
		return MQTT_ADMIT_AGAIN;
	*why = ERR_MQTT_PACKET_ID_IN_USE; /* before PUBCOMP it cannot mean another message */
	return mqtt_is_v5(s) ? MQTT_ADMIT_REFUSED : MQTT_ADMIT_NEVER;
}

uint32_t mqtt_inbound_owe(
	struct mqtt_session *s, const struct mqtt_publish *p, enum mqtt_admission a)
{
	if (!mqtt_is_v5(s) && pool_share_taken(s))
		return POOL_NONE;
	struct mqtt_inbound_node *n =
		begin(s, INBOUND_PENDING, p->qos == 2 ? MQTT_PUBREC : MQTT_PUBACK, p->packet_id);
	if (n == NULL)
		return POOL_NONE;
	if (a == MQTT_ADMIT_REFUSED)
		n->code = IN_USE;
	if (a == MQTT_ADMIT_NEW && p->qos == 2)
		map(s, n);
	return index_of(s, n);
}

uint16_t mqtt_inbound_id(const struct mqtt_session *s, uint32_t index)
{
	return at(s, index)->packet_id;
}

uint8_t mqtt_inbound_qos(const struct mqtt_session *s, uint32_t index)
{
	return at(s, index)->type == MQTT_PUBREC ? 2 : 1;
}

void mqtt_inbound_code(struct mqtt_session *s, uint32_t index, uint8_t code)
{
	if (mqtt_is_v5(s) && at(s, index)->code == 0)
		at(s, index)->code = code;
}

void mqtt_inbound_answer(struct mqtt_session *s, uint32_t index)
{
	ASSERT(at(s, index)->state == INBOUND_PENDING);
	at(s, index)->state = INBOUND_ANSWERED;
}

static enum err send_ack(
	struct mqtt_session *s, enum mqtt_type type, const struct mqtt_inbound_node *n)
{
	const struct mqtt_ack p = {.packet_id = n->packet_id, .reason = n->code};
	struct writer w = mqtt_scratch(s);

	mqtt_encode_ack(&w, type, mqtt_wire(s), &p);
	return mqtt_send(s, &w);
}

/* A PUBREC that says no is the end of it (4.3.3); one that repeats another is no new beginning. */
static void acknowledged(struct mqtt_session *s, struct mqtt_inbound_node *n)
{
	if (n->mapped && n->code < 0x80)
		move(s, n, INBOUND_HELD);
	else
		drop(s, n);
}

enum err mqtt_inbound_flush(struct mqtt_session *s)
{
	enum err e = ERR_NONE;

	while (e == ERR_NONE && s->done.first != POOL_NONE) {
		struct mqtt_inbound_node *n = at(s, s->done.first);
		e = send_ack(s, MQTT_PUBCOMP, n);
		if (e == ERR_NONE)
			drop(s, n);
	}
	while (e == ERR_NONE && s->owed.first != POOL_NONE) {
		struct mqtt_inbound_node *n = at(s, s->owed.first);
		if (n->state == INBOUND_PENDING)
			break;
		e = send_ack(s, (enum mqtt_type)n->type, n);
		if (e == ERR_NONE)
			acknowledged(s, n);
	}
	return e;
}

/* The oldest of that id whose fate is open. Answers come in order: it is among the first. */
static uint32_t pending(const struct mqtt_session *s, uint16_t packet_id)
{
	uint32_t i = s->owed.first;

	while (i != POOL_NONE &&
		(at(s, i)->packet_id != packet_id || at(s, i)->state != INBOUND_PENDING ||
			i == s->incoming_node))
		i = at(s, i)->next;
	return i;
}

enum mqtt_event mqtt_take_published(struct mqtt_session *s, struct mqtt_cause *c)
{
	const uint32_t i = pending(s, c->packet_id);

	if (i == POOL_NONE)
		return MQTT_ON_NOTHING; /* nobody asked */
	if (c->err != ERR_NONE && !mqtt_is_v5(s))
		return MQTT_ON_VIOLATION; /* 3.1.1 has no word for it */
	mqtt_inbound_code(s, i, mqtt_publish_code(c->err));
	mqtt_inbound_answer(s, i);
	return mqtt_flush(s, c);
}

static void released(struct mqtt_session *s, struct mqtt_inbound_node *n)
{
	n->code = 0;
	move(s, n, INBOUND_RELEASED);
}

enum mqtt_event mqtt_take_released(struct mqtt_session *s, struct mqtt_cause *c)
{
	struct mqtt_inbound_node *n = received(s, c->packet_id);

	if (n == NULL || n->state != INBOUND_RELEASING)
		return MQTT_ON_NOTHING;
	if (c->err != ERR_NONE)
		return MQTT_ON_VIOLATION; /* PUBCOMP cannot say it */
	released(s, n);
	return mqtt_flush(s, c);
}

enum mqtt_event mqtt_take_pubrel(struct mqtt_session *s, struct mqtt_cause *c)
{
	struct mqtt_inbound_node *n = received(s, c->packet_id);

	if (n != NULL && n->state >= INBOUND_RELEASING) {
		counter_err(s->conf->counters, ERR_MQTT_UNKNOWN_ID);
		return MQTT_ON_NOTHING; /* said twice, answered once */
	}
	if (n == NULL || n->state != INBOUND_HELD)
		return mqtt_answer_unknown(s, c, MQTT_PUBCOMP);
	move(s, n, INBOUND_RELEASING);
	if (s->ops->release(s->owner, n->packet_id))
		released(s, n);
	return mqtt_flush(s, c);
}

static void check_list(
	const struct mqtt_session *s, const struct mqtt_list *list, uint32_t *counted)
{
	struct mqtt_session *own = (struct mqtt_session *)(uintptr_t)s; /* only compared */
	uint32_t prev = POOL_NONE, count = 0;

	for (uint32_t i = list->first; i != POOL_NONE; i = at(s, i)->next) {
		const struct mqtt_inbound_node *n = at(s, i);
		ASSERT(list_of(own, n) == list);
		ASSERT(n->prev == prev);
		ASSERT(n->packet_id != 0);
		ASSERT(!n->mapped || received(s, n->packet_id) == n);
		ASSERT(n->mapped || list == &s->owed);
		*counted += !n->uncounted;
		prev = i;
		count++;
	}
	ASSERT(list->last == prev);
	ASSERT(list->count == count);
}

void mqtt_inbound_check(const struct mqtt_session *s)
{
	uint32_t counted = 0;

	check_list(s, &s->owed, &counted);
	check_list(s, &s->held, &counted);
	check_list(s, &s->done, &counted);
	ASSERT(counted == s->counted);
	ASSERT(s->incoming_node == POOL_NONE || at(s, s->incoming_node)->state == INBOUND_PENDING);
}
