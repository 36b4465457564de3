/* retained_walk.c - cursors: the values that a filter matches, in order of topic.
 *
 * A filter and a topic are compared level by level. Where they part says how
 * far the next match is away at least, and the cursor seeks there: over what
 * lies below a level that does not fit, and to the filter's own next level. */
#include "dataplane/base/assert.h"
#include "dataplane/fabric/retained_internal.h"
#include "dataplane/match/form.h"

/* Where a value stands to a filter. */
struct fit {
	enum { FIT_MATCH, FIT_STEP, FIT_SEEK, FIT_END } what;
	size_t prefix;     /* SEEK: to so many bytes of the topic... */
	struct span level; /* ...and then these, or... */
	bool after;        /* ...behind all that lies below them */
};

static struct span level_at(struct span text, size_t start)
{
	const uint8_t *end = memchr(text.at + start, '/', text.size - start);

	return span_of(
		text.at + start, end != NULL ? (size_t)(end - text.at) - start : text.size - start);
}

static bool is(struct span level, char c)
{
	return level.size == 1 && level.at[0] == (uint8_t)c;
}

static int compare_levels(struct span a, struct span b)
{
	const size_t both = a.size < b.size ? a.size : b.size;
	const int c = both > 0 ? memcmp(a.at, b.at, both) : 0;

	return c != 0 ? c : (a.size > b.size) - (a.size < b.size);
}

/* No match lies below the levels so far; the next may be where the last wild level ends. */
static struct fit beyond(size_t wild_end)
{
	if (wild_end == SIZE_MAX)
		return (struct fit){.what = FIT_END};
	return (struct fit){.what = FIT_SEEK, .prefix = wild_end, .after = true};
}

/* At level `start` of the topic, which is lower than the filter's. */
static struct fit further(size_t start, struct span level)
{
	return (struct fit){.what = FIT_SEEK, .prefix = start, .level = level};
}

static struct fit fit(struct span filter, struct span topic)
{
	size_t at = 0, in = 0;      /* of the topic's level, of the filter's */
	size_t wild_end = SIZE_MAX; /* of the last level that '+' stands for */

	/* MQTT-4.7.2-1: a leading wildcard does not match '$'. */
	if (topic.at[0] == '$' && (filter.at[0] == '+' || filter.at[0] == '#'))
		return (struct fit){.what = FIT_SEEK, .level = span_str("%")};
	for (;;) {
		const struct span want = level_at(filter, in), have = level_at(topic, at);
		const size_t want_end = in + want.size, have_end = at + have.size;
		if (is(want, '#'))
			return (struct fit){.what = FIT_MATCH};
		const int c = is(want, '+') ? 0 : compare_levels(have, want);
		if (c < 0)
			return further(at, want);
		if (c > 0)
			return beyond(wild_end);
		if (is(want, '+'))
			wild_end = have_end;
		in = want_end + 1;
		at = have_end + 1;
		if (want_end == filter.size) { /* MATCH, or the topic goes on below it */
			if (have_end == topic.size)
				return (struct fit){.what = FIT_MATCH};
			return beyond(wild_end);
		}
		if (have_end == topic.size) /* "a/#" matches "a", and nothing else is left */
			return (struct fit){
				.what = is(level_at(filter, in), '#') ? FIT_MATCH : FIT_STEP};
	}
}

static struct fit fit_any(const struct retained *r, struct span filter, struct span topic)
{
	if (!form_is_special(filter))
		return fit(filter, topic);
	if (r->matches != NULL && r->matches(r->owner, filter, topic))
		return (struct fit){.what = FIT_MATCH};
	return (struct fit){.what = FIT_STEP};
}

static void place(struct retained *r, struct retained_cursor *c, uint32_t at)
{
	if (c->at != RETAINED_NONE)
		retained_at(r, c->at)->cursors--;
	c->at = at;
	if (at != RETAINED_NONE)
		retained_at(r, at)->cursors++;
}

/* The literal levels that a filter begins with; "a/b" of "a/b/+/c". */
static struct span literal_prefix(struct span filter)
{
	size_t end = 0;

	if (form_is_special(filter))
		return span_of(filter.at, 0);
	for (size_t in = 0; in <= filter.size;) {
		const struct span level = level_at(filter, in);
		if (is(level, '+') || is(level, '#'))
			break;
		end = in + level.size;
		in = end + 1;
	}
	return span_of(filter.at, end);
}

struct retained_cursor *retained_open(struct retained *r, struct span filter)
{
	ASSERT(filter.size > 0);
	if (r->cursors_free == RETAINED_NONE)
		return NULL;
	struct retained_cursor *c = &r->cursors[r->cursors_free];
	ASSERT(!c->open);
	r->cursors_free = c->free;
	r->cursors_open++;
	c->open = true;
	c->filter = filter;
	c->at = RETAINED_NONE;
	place(r, c, retained_from(r, literal_prefix(filter), false));
	return c;
}

void retained_close(struct retained *r, struct retained_cursor **cursor)
{
	struct retained_cursor *c = *cursor;

	*cursor = NULL;
	ASSERT(c->open);
	place(r, c, RETAINED_NONE);
	c->open = false;
	c->free = r->cursors_free;
	r->cursors_free = (uint32_t)(c - r->cursors);
	r->cursors_open--;
}

void retained_seek(struct retained *r, struct retained_cursor *c, struct span topic)
{
	ASSERT(c->open);
	place(r, c, retained_from(r, topic, false));
}

static uint32_t seek(const struct retained *r, struct span topic, const struct fit *f)
{
	static_assert(2 * UINT16_MAX <= MESSAGE_HEAD_LARGE, "room for a topic and a level");
	if (f->after)
		return retained_from(r, span_of(topic.at, f->prefix), true);
	memcpy(r->head, topic.at, f->prefix);
	if (f->level.size > 0)
		memcpy(r->head + f->prefix, f->level.at, f->level.size);
	return retained_from(r, span_of(r->head, f->prefix + f->level.size), false);
}

static bool append_payload(const struct retained *r, struct cells_place *p, struct message *m)
{
	uint8_t chunk[2048];

	while (!message_whole(m)) {
		const uint32_t left = m->payload_size - m->payload_have;
		const uint32_t n = left < sizeof(chunk) ? left : (uint32_t)sizeof(chunk);
		cells_read(&r->cells, p, chunk, n);
		if (!message_append(m, span_of(chunk, n)))
			return false;
	}
	return true;
}

static uint32_t expiry_left_s(const struct value *v, uint64_t now_us)
{
	if (v->expiry_s == 0)
		return 0;
	/* What is left of a second counts as one: 0 would mean never. */
	return (uint32_t)((v->born_us + v->expiry_s * 1000000ull - now_us + 999999) / 1000000);
}

/* Spans into r->head; *place is the payload's. */
static struct message_props props_of(
	const struct retained *r, const struct value *v, uint64_t now_us, struct cells_place *place)
{
	const size_t rest =
		(size_t)v->type_size + v->reply_size + v->correlation_size + v->user_size;
	const uint8_t *at = r->head;

	*place = (struct cells_place){.cell = v->cells};
	cells_read(&r->cells, place, r->topic, v->topic_size);
	cells_read(&r->cells, place, r->head, rest);
	struct message_props p = {.expiry_s = expiry_left_s(v, now_us),
		.payload_is_utf8 = v->payload_is_utf8,
		.priority = v->priority};
	p.content_type = span_of(at, v->type_size);
	at += v->type_size;
	p.reply_to = span_of(at, v->reply_size);
	at += v->reply_size;
	p.correlation = span_of(at, v->correlation_size);
	at += v->correlation_size;
	p.user = span_of(at, v->user_size);
	return p;
}

/* END: it cannot be told. */
static enum retained_step tell(struct retained *r, const struct value *v, struct messages *store,
	uint64_t now_us, struct message **out)
{
	struct cells_place place;
	const struct message_props props = props_of(r, v, now_us, &place);
	const struct span topic = span_of(r->topic, v->topic_size);

	if (!message_fits(store, topic, &props, v->payload_size)) { /* nor ever will */
		counter_err(r->counters, ERR_NO_MESSAGES);
		return RETAINED_END;
	}
	*out = message_begin(store, topic, &props, v->payload_size);
	if (*out == NULL)
		return RETAINED_NO_ROOM;
	if (!append_payload(r, &place, *out)) {
		message_put(out);
		return RETAINED_NO_ROOM;
	}
	(*out)->qos = v->qos;
	(*out)->retain = true;
	(*out)->born_us = now_us;
	return RETAINED_VALUE;
}

/* Moves on from a value; true: it is one to tell. */
static bool look(struct retained *r, struct retained_cursor *c, uint64_t now_us)
{
	const struct value *v = retained_at(r, c->at);
	const struct span topic = retained_topic(r, v);
	const struct fit f = fit_any(r, c->filter, topic);

	switch (f.what) {
	case FIT_MATCH:
		if (!retained_expired(v, now_us))
			return true;
		place(r, c, v->next);
		return false;
	case FIT_STEP:
		place(r, c, v->next);
		return false;
	case FIT_SEEK:
		place(r, c, seek(r, topic, &f));
		return false;
	case FIT_END:
		place(r, c, RETAINED_NONE);
	}
	return false;
}

enum retained_step retained_next(struct retained *r, struct retained_cursor *c,
	struct messages *store, uint64_t now_us, uint32_t *budget, struct message **out)
{
	ASSERT(c->open);
	*out = NULL;
	while (c->at != RETAINED_NONE) {
		if (*budget == 0)
			return RETAINED_BUDGET;
		--*budget;
		if (!look(r, c, now_us))
			continue;
		const struct value *v = retained_at(r, c->at);
		const enum retained_step step = tell(r, v, store, now_us, out);
		if (step != RETAINED_NO_ROOM)
			place(r, c, v->next);
		if (step != RETAINED_END)
			return step;
	}
	return RETAINED_END;
}
