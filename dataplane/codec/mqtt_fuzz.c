/* mqtt_fuzz.c - a stream of hostile bytes, read as MQTT packets.
 *
 * The first byte of the input chooses version and limits, the rest is the
 * stream. What is decoded is walked, and everything in it is touched; what can
 * be encoded again must give the same fields, and the same bytes ever after. */
#include "dataplane/base/assert.h"
#include "dataplane/base/attr.h"
#include "dataplane/codec/mqtt_any.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { ENCODED_MAX = 1 << 17 };

static const struct mqtt_limits limits[] = {{1 << 20, 4096}, {64, 32}, {4096, 65536}, {8, 5}};
static const enum mqtt_version versions[] = {MQTT_V4, MQTT_V5, MQTT_V3, MQTT_V5};

static volatile uint8_t touched;

/* A view lies inside the frame, or is empty. Reads it, for the sanitizer. */
static void check_view(struct span inside, struct span view)
{
	if (view.size == 0)
		return;
	ASSERT(view.at >= inside.at);
	ASSERT(view.size <= inside.size);
	ASSERT(view.at + view.size <= inside.at + inside.size);
	touched = (uint8_t)(touched ^ view.at[0] ^ view.at[view.size - 1]);
}

/* The pairs as they are walked are the pairs as they are joined. */
static void check_users(struct span body, const struct mqtt_props *p)
{
	struct reader raw = reader_of(p->raw);
	struct span key, value;
	uint8_t *joined = malloc(p->raw.size + 1);
	struct writer w = writer_of(joined, p->raw.size);
	size_t size = 0;
	size_t count = 0;

	while (mqtt_next_user(&raw, &key, &value)) {
		check_view(body, key);
		check_view(body, value);
		size += 4 + key.size + value.size;
		count++;
	}
	ASSERT((count != 0) == mqtt_props_has(p, MQTT_PROPERTY_USER));
	ASSERT((count > 1) == p->user_split);
	ASSERT(count == 1 ? p->user.size == size : p->user.size == 0);
	mqtt_join_user(&w, p);
	ASSERT(!w.bad);
	ASSERT(writer_used(&w) == size);
	free(joined);
}

static void check_props(struct span body, const struct mqtt_props *p)
{
	const struct span views[] = {p->content_type, p->response_topic, p->correlation,
		p->assigned_client_id, p->auth_method, p->auth_data, p->response_info,
		p->server_reference, p->reason_string, p->user, p->raw};

	for (size_t i = 0; i < ARRAY_SIZE(views); i++)
		check_view(body, views[i]);
	ASSERT(p->subscription_id_count <= MQTT_SUB_IDS_MAX);
	for (size_t i = 0; i < p->subscription_id_count; i++)
		ASSERT(p->subscription_ids[i] >= 1 && p->subscription_ids[i] <= MQTT_REMAINING_MAX);
	ASSERT(p->has < 1ull << MQTT_PROPERTY_END);
	ASSERT(p->receive_max != 0);
	ASSERT(p->payload_format <= 1);
	check_users(body, p);
}

static void check_connect(struct span body, const struct mqtt_connect *c)
{
	ASSERT(c->version >= MQTT_V3 && c->version <= MQTT_V5);
	ASSERT(c->will_qos <= 2);
	ASSERT(c->has_username || !c->has_password || c->version == MQTT_V5);
	check_view(body, c->client_id);
	check_props(body, &c->will_props);
	check_view(body, c->will_topic);
	check_view(body, c->will_payload);
	check_view(body, c->username);
	check_view(body, c->password);
}

static void check_filters(struct span body, struct mqtt_subscribe s)
{
	struct mqtt_filter f;
	size_t count = 0;

	while (mqtt_next_filter(&s, &f)) {
		ASSERT(f.filter.size != 0);
		ASSERT(f.qos <= 2 && f.retain_handling <= 2);
		check_view(body, f.filter);
		count++;
	}
	ASSERT(count != 0);
	ASSERT(count == s.filter_count);
	ASSERT(s.packet_id != 0);
}

static void check_any(struct span body, const struct mqtt_any *any)
{
	const struct mqtt_props *props = mqtt_any_props(any);

	if (props != NULL)
		check_props(body, props);
	if (any->type == MQTT_CONNECT)
		check_connect(body, &any->connect);
	if (any->type == MQTT_PUBLISH) {
		check_view(body, any->publish.topic);
		ASSERT((any->publish.qos == 0) == (any->publish.packet_id == 0));
	}
	if (any->type == MQTT_SUBSCRIBE || any->type == MQTT_UNSUBSCRIBE)
		check_filters(body, any->subscribe);
	if (any->type == MQTT_SUBACK || any->type == MQTT_UNSUBACK)
		check_view(body, any->suback.reasons);
}

static struct span encode(const struct mqtt_any *any, uint8_t *bytes)
{
	struct writer w = writer_of(bytes, ENCODED_MAX);

	if (!mqtt_any_encode(&w, any))
		return span_of(NULL, 0);
	ASSERT(!w.bad);
	return writer_span(&w);
}

/* decode(encode(x)) is x, and encoding that again gives the same bytes. */
static void check_round_trip(const struct mqtt_any *any)
{
	static uint8_t first[ENCODED_MAX], second[ENCODED_MAX];
	static const struct mqtt_limits roomy = {MQTT_REMAINING_MAX, ENCODED_MAX};
	const struct span once = encode(any, first);
	struct mqtt_frame f;
	struct mqtt_any again;

	if (once.size == 0)
		return;
	const struct decoded d = mqtt_decode(once, any->version, &roomy, &f);
	ASSERT(d.verdict == DECODE_DONE);
	ASSERT(d.used == once.size);
	ASSERT(mqtt_any_decode(&f, any->version, &again) == ERR_NONE);
	ASSERT(mqtt_any_equal(any, &again));
	ASSERT(span_equal(encode(&again, second), once));
}

/* Walking what was never decoded ends, and stays inside. */
static void check_rubbish(struct span in)
{
	struct reader raw = reader_of(in);
	struct span key, value;

	while (mqtt_next_user(&raw, &key, &value)) {
		check_view(in, key);
		check_view(in, value);
	}
}

/* What was DONE with all of it is MORE with one byte less, and asks for no more than there was. */
static void check_shorter(struct span frame, enum mqtt_version v, const struct mqtt_limits *l)
{
	struct mqtt_frame f;
	uint8_t *copy = malloc(frame.size);

	memcpy(copy, frame.at, frame.size);
	const struct decoded d = mqtt_decode(span_of(copy, frame.size - 1), v, l, &f);
	ASSERT(d.verdict == DECODE_MORE);
	ASSERT(d.need == frame.size);
	free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	const struct mqtt_limits *l = &limits[data[0] >> 2 & 3];
	const enum mqtt_version version = versions[data[0] & 3];
	struct span in = span_of(data + 1, size - 1);
	struct mqtt_frame f;
	struct decoded d;

	check_rubbish(in);
	while ((d = mqtt_decode(in, version, l, &f)).verdict == DECODE_DONE) {
		struct mqtt_any any;
		ASSERT(d.used >= 2 && d.used <= in.size);
		ASSERT(d.used <= l->control_size_max);
		ASSERT(f.body.at + f.body.size == in.at + d.used);
		ASSERT(f.type == MQTT_PUBLISH || f.payload_size == 0);
		check_shorter(span_of(in.at, d.used), version, l);
		if (mqtt_any_decode(&f, version, &any) == ERR_NONE) {
			check_any(f.body, &any);
			check_round_trip(&any);
		}
		in = span_skip(in, d.used);
		in = span_skip(in, f.payload_size < in.size ? f.payload_size : in.size);
	}
	ASSERT(d.verdict == DECODE_BAD ? d.err != ERR_NONE : d.need > in.size);
	return 0;
}
