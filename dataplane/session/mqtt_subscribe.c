/* mqtt_subscribe.c - SUBSCRIBE and UNSUBSCRIBE of an MQTT session.
 *
 * One packet at a time: its filters go to the fabric with a token each, the
 * answers are noted by position, and when none is missing SUBACK or UNSUBACK
 * goes out. Until then input waits, so answers keep the order of requests.
 *
 *	token: 31 serial of the packet 16 15 position of the filter 0
 *
 * Spec: MQTT 5.0 3.8 to 3.11, 4.7, 4.8; 3.1.1 likewise. Not here: matching. */
#include "dataplane/session/mqtt_internal.h"

/* No reason code is as large; the two lowest bits are the QoS that a granted filter gets. */
enum { UNANSWERED = 0xf0, QOS_BITS = 3 };

static uint8_t *reasons_of(struct mqtt_session *s)
{
	if (s->pending_block == POOL_NONE)
		return s->pending_few;
	return (uint8_t *)pool_at(&s->conf->memory->filters, s->pending_block);
}

/* Room for the answers; false: not now. */
static bool make_room(struct mqtt_session *s, uint32_t count)
{
	if (count <= MQTT_FILTERS_FEW)
		return true;
	s->pending_block = pool_get(&s->conf->memory->filters);
	return s->pending_block != POOL_NONE;
}

void mqtt_drop_pending(struct mqtt_session *s)
{
	if (s->pending_block != POOL_NONE)
		pool_put(&s->conf->memory->filters, s->pending_block);
	s->pending_block = POOL_NONE;
	s->pending_count = 0;
	s->pending_left = 0;
}

static bool is_filter(struct span filter)
{
	for (size_t i = 0; i < filter.size; i++) {
		const bool first = i == 0 || filter.at[i - 1] == '/';
		const bool last = i + 1 == filter.size;
		if (filter.at[i] == '#' && !(first && last))
			return false; /* 4.7.1-1 */
		if (filter.at[i] == '+' && !(first && (last || filter.at[i + 1] == '/')))
			return false; /* 4.7.1-2 */
	}
	return true;
}

static bool is_shared(struct span filter)
{
	return mqtt_starts_with(filter, "$share/");
}

/* What forbids the whole packet. */
static enum err judge(const struct mqtt_session *s, const struct mqtt_subscribe *p)
{
	/* An UNSUBACK of 3.1.1 cannot say that some filters were left out. */
	if (!p->has_options && !mqtt_is_v5(s) && p->filter_count > MQTT_FILTERS_ANSWERED_MAX)
		return ERR_MQTT_FILTERS_MAX;
	return ERR_NONE;
}

/* An extension: what stands behind the prefix the fabric judges. */
static bool is_special(struct span filter)
{
	return mqtt_starts_with(filter, "$filter/");
}

/* What is known without asking. */
static enum err judge_filter(struct span filter, bool subscribe)
{
	if (is_special(filter))
		return ERR_NONE;
	if (!is_filter(filter))
		return ERR_MQTT_FILTER;
	if (is_shared(filter))
		return subscribe ? ERR_MQTT_SHARED_UNSUPPORTED : ERR_NOT_SUBSCRIBED;
	return ERR_NONE;
}

static void ask(struct mqtt_session *s, uint32_t token, const struct mqtt_filter *f, uint32_t id)
{
	const struct subscription_options options = {
		.qos_max = f->qos,
		.no_local = f->no_local,
		.retain_as_published = f->retain_as_published,
		.retain_handling = f->retain_handling,
		.identifier = id,
	};

	if (s->pending_type == MQTT_SUBSCRIBE)
		s->ops->verbs.subscribe(s->owner, token, f->filter, &options);
	else
		s->ops->verbs.unsubscribe(s->owner, token, f->filter);
}

/* Answers come after this call, never from inside it (session.h). */
static void ask_all(struct mqtt_session *s, struct mqtt_subscribe p, enum mqtt_type type)
{
	const uint32_t serial = (uint32_t)++s->pending_serial << 16;
	uint8_t *reasons = reasons_of(s);
	struct mqtt_filter f;

	s->pending_type = (uint8_t)type;
	s->pending_id = p.packet_id;
	s->pending_count = p.filter_count;
	s->pending_left = 0;
	for (uint32_t i = 0; i < MQTT_FILTERS_ANSWERED_MAX && mqtt_next_filter(&p, &f); i++) {
		const enum err e = judge_filter(f.filter, p.has_options);
		if (e != ERR_NONE) {
			reasons[i] = mqtt_filter_code(s, type, e);
			continue;
		}
		reasons[i] = p.has_options ? UNANSWERED | f.qos : UNANSWERED;
		s->pending_left++;
		ask(s, serial | i, &f, p.props.subscription_ids[0]);
	}
}

/* SUBACK or UNSUBACK; the codes are laid out at the scratch's end, the packet at its start. */
static enum mqtt_event answer(struct mqtt_session *s, struct mqtt_cause *c)
{
	const enum mqtt_type type = (enum mqtt_type)s->pending_type;
	struct writer w = mqtt_scratch(s);
	const size_t count = s->pending_count;
	const size_t known =
		count < MQTT_FILTERS_ANSWERED_MAX ? count : (size_t)MQTT_FILTERS_ANSWERED_MAX;
	struct mqtt_suback p = {.packet_id = s->pending_id};

	ASSERT(s->pending_left == 0);
	ASSERT(2 * count + MQTT_SCRATCH_SLACK <= s->conf->scratch_size);
	w.end -= count;
	memcpy(w.end, reasons_of(s), known);
	memset(w.end + known, mqtt_filter_code(s, type, ERR_MQTT_FILTERS_MAX), count - known);
	if (type == MQTT_SUBSCRIBE || mqtt_is_v5(s))
		p.reasons = span_of(w.end, count);
	mqtt_encode_suback(
		&w, type == MQTT_SUBSCRIBE ? MQTT_SUBACK : MQTT_UNSUBACK, mqtt_wire(s), &p);
	const enum mqtt_event next = mqtt_reply(s, c, &w);
	if (next == MQTT_ON_NOTHING && !c->parked) {
		mqtt_drop_pending(s);
		s->heard_us = c->now_us;
	}
	return next;
}

static enum mqtt_event take(
	struct mqtt_session *s, struct mqtt_cause *c, const struct mqtt_subscribe *p)
{
	enum mqtt_event next = MQTT_ON_NOTHING;

	ASSERT(s->pending_count == 0);
	if (c->err == ERR_NONE)
		c->err = judge(s, p);
	if (c->err != ERR_NONE)
		return MQTT_ON_VIOLATION;
	if (!make_room(s, p->filter_count)) {
		c->err = ERR_MQTT_SERVER_BUSY;
		return mqtt_park(s, c) ? MQTT_ON_NOTHING : MQTT_ON_VIOLATION;
	}
	mqtt_unpark(s, c->now_us);
	ask_all(s, *p, c->frame->type);
	if (s->pending_left == 0)
		next = answer(s, c);
	c->parked = false; /* the packet is taken, even if its answer waits for room */
	return next;
}

enum mqtt_event mqtt_take_subscribe(struct mqtt_session *s, struct mqtt_cause *c)
{
	struct mqtt_subscribe p;

	c->err = mqtt_decode_subscribe(c->frame, mqtt_wire(s), &p);
	return take(s, c, &p);
}

enum mqtt_event mqtt_take_unsubscribe(struct mqtt_session *s, struct mqtt_cause *c)
{
	struct mqtt_subscribe p;

	c->err = mqtt_decode_unsubscribe(c->frame, mqtt_wire(s), &p);
	return take(s, c, &p);
}

/* An UNSUBACK of 3.1.1 says that it is done; if it is not, only the end of the connection is no
 * lie. To what is no filter nobody has subscribed. */
static bool cannot_say(const struct mqtt_session *s, enum err e)
{
	if (s->pending_type != MQTT_UNSUBSCRIBE || mqtt_is_v5(s))
		return false;
	return e != ERR_NONE && e != ERR_NOT_SUBSCRIBED && e != ERR_FILTER_MALFORMED &&
	       e != ERR_TOPIC_TOO_DEEP;
}

/* Answers to an older packet, or given twice, change nothing. */
enum mqtt_event mqtt_take_answer(struct mqtt_session *s, struct mqtt_cause *c)
{
	const uint32_t at = c->token & 0xffff;

	if (c->token >> 16 != s->pending_serial || at >= s->pending_count)
		return MQTT_ON_NOTHING;
	uint8_t *reason = &reasons_of(s)[at];
	if (at >= MQTT_FILTERS_ANSWERED_MAX || *reason < UNANSWERED)
		return MQTT_ON_NOTHING;
	ASSERT(s->pending_left > 0);
	const uint8_t granted = *reason & QOS_BITS;
	*reason = c->err == ERR_NONE ? granted
				     : mqtt_filter_code(s, (enum mqtt_type)s->pending_type, c->err);
	s->pending_left--;
	if (cannot_say(s, c->err))
		return MQTT_ON_VIOLATION;
	return s->pending_left == 0 ? answer(s, c) : MQTT_ON_NOTHING;
}

enum mqtt_event mqtt_retry_answer(struct mqtt_session *s, struct mqtt_cause *c)
{
	if (s->pending_count != 0 && s->pending_left == 0)
		return answer(s, c);
	return MQTT_ON_NOTHING; /* the worker offers the parked input again */
}
