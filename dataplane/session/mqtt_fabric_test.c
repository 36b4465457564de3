/* mqtt_fabric_test.c - MQTT sessions on the real fabric: what one client says reaches the others.
 *
 * The smallest worker there can be: it carries out effects at once, answers
 * filters when the session has returned, and keeps what was sent. */
#include "dataplane/session/mqtt.h"
#include "tests/unit/eal.h"
#include "tests/unit/unit.h"

#include "dataplane/base/assert.h"

enum { CLIENTS = 4, OUT_SIZE = 1 << 16, TOKENS = 8, SEGMENTS = 512, SCRATCH = MESSAGE_HEAD_LARGE };

/* One client: a letter names it. */
struct client {
	struct mqtt_session session;
	uint32_t index;
	uint8_t out[OUT_SIZE]; /* since it was last looked at */
	size_t out_size;
	uint32_t tokens[TOKENS];
	enum err answers[TOKENS];
	uint32_t answered;
};

static struct client clients[CLIENTS];
static struct messages *store;
static struct fabric *fabric;
static struct counters counters;
static struct mqtt_session_conf conf;
static uint8_t scratch[SCRATCH + MQTT_SCRATCH_SLACK];
static uint64_t now_us;

static bool send_bytes(void *owner, struct span bytes)
{
	struct client *c = (struct client *)owner;

	if (bytes.size > sizeof(c->out) - c->out_size)
		return false;
	if (bytes.size != 0)
		memcpy(c->out + c->out_size, bytes.at, bytes.size);
	c->out_size += bytes.size;
	return true;
}

static bool send_message(void *owner, struct span header, struct message *m)
{
	bool sent = send_bytes(owner, header);

	for (struct rte_mbuf *seg = m->payload; seg != NULL; seg = seg->next)
		sent = sent &&
		       send_bytes(owner, span_of((const uint8_t *)seg->buf_addr + seg->data_off,
						 seg->data_len));
	return sent;
}

static void finish(void *owner, enum err why)
{
	(void)owner;
	(void)why;
}

static void timer(void *owner, uint64_t deadline_us)
{
	(void)owner;
	(void)deadline_us;
}

static bool request(void *owner, const struct session_request *r)
{
	(void)owner;
	(void)r;
	return true;
}

static struct message *begin(
	void *owner, struct span topic, const struct message_props *props, uint32_t payload_size)
{
	const struct client *c = (const struct client *)owner;
	struct message *m = message_begin(store, topic, props, payload_size);

	if (m != NULL)
		m->publisher = c->index;
	return m;
}

static enum published publish(
	void *owner, struct message **m, const struct publish_order *o, bool *matched)
{
	(void)owner;
	(void)o;
	*matched = fabric_publish(fabric, *m, FABRIC_ALL) > 0;
	message_put(m);
	return PUBLISHED_DONE;
}

static void answer_later(struct client *c, uint32_t token, enum err e)
{
	ASSERT(c->answered < TOKENS);
	c->tokens[c->answered] = token;
	c->answers[c->answered++] = e;
}

static void subscribe(
	void *owner, uint32_t token, struct span filter, const struct subscription_options *options)
{
	struct client *c = (struct client *)owner;
	bool was_new;

	answer_later(c, token, fabric_subscribe(fabric, c->index, filter, options, &was_new));
}

static void unsubscribe(void *owner, uint32_t token, struct span filter)
{
	struct client *c = (struct client *)owner;

	answer_later(c, token, fabric_unsubscribe(fabric, c->index, filter));
}

static void deliver(void *owner, const struct delivery *d, struct message *m)
{
	(void)owner;
	ASSERT(mqtt_session_deliver(&clients[d->index].session, m, d, now_us));
}

static bool release(void *owner, uint16_t packet_id)
{
	(void)owner;
	(void)packet_id;
	return true;
}

static void room(void *owner)
{
	(void)owner;
}

/* Nothing is kept here: no entries, no farewells. */
static const struct session_ops ops = {.send = send_bytes,
	.send_message = send_message,
	.finish = finish,
	.timer = timer,
	.request = request,
	.release = release,
	.room = room,
	.verbs = {.message_begin = begin,
		.publish = publish,
		.subscribe = subscribe,
		.unsubscribe = unsubscribe}};

static void says(struct client *c, const char *bytes, size_t size)
{
	const struct session_used u = mqtt_session_input(&c->session, span_of(bytes, size), now_us);

	CU_ASSERT_EQUAL_FATAL(u.used, size);
	const uint32_t answered = c->answered;
	c->answered = 0;
	for (uint32_t i = 0; i < answered; i++)
		mqtt_session_on_subscribed(&c->session, c->tokens[i], c->answers[i], now_us);
}

static void hears(struct client *c, const char *bytes, size_t size)
{
	CU_ASSERT_TRUE(span_equal(span_of(c->out, c->out_size), span_of(bytes, size)));
	c->out_size = 0;
}

#define SAYS(c, text)  says(&clients[c], text, sizeof(text) - 1)
#define HEARS(c, text) hears(&clients[c], text, sizeof(text) - 1)

static void connect_all(uint8_t version)
{
	static const char v4[] = "\x10\x0d\0\4MQTT\4\2\0\0\0\1c",
			  v5[] = "\x10\x0e\0\4MQTT\5\2\0\0\0\0\1c";
	const struct session_grant grant = {.verdict = SESSION_GRANTED};

	for (uint32_t i = 0; i < CLIENTS; i++) {
		struct client *c = &clients[i];
		*c = (struct client){.index = i};
		mqtt_session_open(&c->session, &ops, c, &conf, now_us);
		/* The last one speaks the other version. */
		if ((version == MQTT_V5) != (i == CLIENTS - 1))
			says(c, v5, sizeof(v5) - 1);
		else
			says(c, v4, sizeof(v4) - 1);
		mqtt_session_on_grant(&c->session, &grant, now_us);
		c->out_size = 0;
	}
}

static void open_world(uint8_t version)
{
	static const struct mqtt_memory_conf pools = {.outbound = {.nodes_max = 256,
							      .queued_max = 100,
							      .inflight_max = 20,
							      .counters = &counters},
		.inbound_max = 256,
		.alias_chunks_max = 64,
		.filter_blocks_max = 2};

	memset(&counters, 0, sizeof(counters));
	now_us = 1000000000;
	conf = (struct mqtt_session_conf){
		.limits = {.packet_size_max = 100000, .control_size_max = 20000},
		.connect_timeout_us = 1000000,
		.grant_timeout_us = 1000000,
		.park_timeout_us = 1000000,
		.session_expiry_max_s = UINT32_MAX,
		.receive_max = 20,
		.topic_alias_max = 4,
		.counters = &counters,
		.memory = mqtt_memory_create(&pools),
		.scratch = scratch,
		.scratch_size = sizeof(scratch)};
	static struct rte_mempool *segments;
	if (segments == NULL)
		segments = unit_pool(SEGMENTS);
	store = messages_create(&(struct messages_conf){.count = 64,
		.large_count = 4,
		.segments = segments,
		.segments_reserve = 8,
		.counters = &counters});
	fabric = fabric_create(&(struct fabric_conf){.connections_max = CLIENTS,
		.subscriptions_max = 64,
		.match = {.filters_max = 64, .filter_bytes_max = 4096, .counters = &counters},
		.counters = &counters,
		.deliver = deliver});
	CU_ASSERT_PTR_NOT_NULL_FATAL(conf.memory);
	CU_ASSERT_PTR_NOT_NULL_FATAL(store);
	CU_ASSERT_PTR_NOT_NULL_FATAL(fabric);
	connect_all(version);
}

/* messages_destroy asserts that no message is left. */
static void close_world(void)
{
	for (uint32_t i = 0; i < CLIENTS; i++) {
		fabric_forget(fabric, i);
		mqtt_session_close(&clients[i].session, now_us);
	}
	CU_ASSERT_EQUAL(messages_alive(store), 0);
	CU_ASSERT_EQUAL(counter_get(&counters, COUNTER_SESSIONS), 0);
	CU_ASSERT_EQUAL(counter_get(&counters, COUNTER_INFLIGHT), 0);
	mqtt_memory_destroy(&conf.memory);
	fabric_destroy(&fabric);
	messages_destroy(&store);
}

static void reaches_subscribers_of_both_versions(void)
{
	open_world(MQTT_V5);
	SAYS(0, "\x82\x09\0\1\0\0\3a/+\0");
	HEARS(0, "\x90\4\0\1\0\0");
	SAYS(3, "\x82\x08\0\1\0\3a/#\0");
	HEARS(3, "\x90\3\0\1\0");
	SAYS(1, "\x30\x0b\0\3a/b\0hello");
	HEARS(0, "\x30\x0b\0\3a/b\0hello");
	HEARS(3, "\x30\x0a\0\3a/bhello");
	HEARS(1, "");
	HEARS(2, "");
	SAYS(3, "\x30\x06\0\3a/bx");
	HEARS(0, "\x30\x07\0\3a/b\0x");
	HEARS(3, "\x30\x06\0\3a/bx");
	SAYS(1, "\x30\x03\0\1b");
	HEARS(0, "");
	close_world();
}

static void properties_survive_the_fabric(void)
{
	static const char packet[] =
		"\x30\x33\0\1a\x2d\1\1\2\0\0\0\x3c\3\0\3t/p\x08\0\3r/1\x09\0\2\0\1"
		"\x26\0\1b\0\1"
		"2\x26\0\1a\0\1"
		"1\x26\0\1b\0\1"
		"2xy";

	open_world(MQTT_V5);
	SAYS(0, "\x82\x07\0\1\0\0\1#\0");
	SAYS(3, "\x82\x06\0\1\0\1#\0");
	clients[0].out_size = clients[3].out_size = 0;
	says(&clients[1], packet, sizeof(packet) - 1);
	hears(&clients[0], packet, sizeof(packet) - 1);
	HEARS(3, "\x30\5\0\1axy");
	close_world();
}

static void identifiers_go_along(void)
{
	open_world(MQTT_V5);
	SAYS(0, "\x82\x09\0\1\2\x0b\1\0\1a\0");
	SAYS(0, "\x82\x0a\0\2\3\x0b\x80\1\0\1#\0");
	clients[0].out_size = 0;
	SAYS(1, "\x30\5\0\1a\0x");
	const char one[] = "\x30\x0a\0\1a\5\x0b\1\x0b\x80\1x",
		   other[] = "\x30\x0a\0\1a\5\x0b\x80\1\x0b\1x";
	const struct span out = span_of(clients[0].out, clients[0].out_size);
	CU_ASSERT_TRUE(span_equal(out, span_of(one, sizeof(one) - 1)) ||
		       span_equal(out, span_of(other, sizeof(other) - 1)));
	close_world();
}

static void no_local_is_kept(void)
{
	open_world(MQTT_V5);
	SAYS(0, "\x82\x07\0\1\0\0\1a\4");
	SAYS(1, "\x82\x07\0\1\0\0\1a\0");
	clients[0].out_size = clients[1].out_size = 0;
	SAYS(0, "\x30\5\0\1a\0x");
	HEARS(0, "");
	HEARS(1, "\x30\5\0\1a\0x");
	SAYS(1, "\x30\5\0\1a\0y");
	HEARS(0, "\x30\5\0\1a\0y");
	HEARS(1, "\x30\5\0\1a\0y");
	close_world();
}

static void retain_as_published(void)
{
	open_world(MQTT_V5);
	SAYS(0, "\x82\x07\0\1\0\0\1a\x08");
	SAYS(1, "\x82\x07\0\1\0\0\1a\0");
	clients[0].out_size = clients[1].out_size = 0;
	SAYS(3, "\x31\4\0\1ax");
	HEARS(0, "\x31\5\0\1a\0x");
	HEARS(1, "\x30\5\0\1a\0x");
	SAYS(3, "\x30\4\0\1ax");
	HEARS(0, "\x30\5\0\1a\0x");
	close_world();
}

static void unsubscribed_hears_nothing(void)
{
	open_world(MQTT_V4);
	SAYS(0, "\x82\x06\0\1\0\1a\0");
	SAYS(0, "\xa2\5\0\2\0\1a");
	HEARS(0, "\x90\3\0\1\0\xb0\2\0\2");
	SAYS(1, "\x30\4\0\1ax");
	HEARS(0, "");
	close_world();
}

static void order_is_kept(void)
{
	open_world(MQTT_V4);
	SAYS(0, "\x82\x06\0\1\0\1#\0");
	clients[0].out_size = 0;
	for (int i = 'a'; i <= 'z'; i++) {
		const char packet[] = {0x30, 4, 0, 1, 't', (char)i};
		says(&clients[1 + (i & 1)], packet, sizeof(packet));
	}
	for (int i = 'a'; i <= 'z'; i++)
		CU_ASSERT_EQUAL(clients[0].out[6 * (i - 'a') + 5], i);
	CU_ASSERT_EQUAL(clients[0].out_size, 6 * 26);
	close_world();
}

/* Chunk by chunk into segments of the pool, and out of them again. */
static void large_payloads_stream(void)
{
	static char packet[60009];
	static const char header[] = "\x30\xe5\xd4\x03\0\4a/bc";

	open_world(MQTT_V4);
	SAYS(0, "\x82\x06\0\1\0\1#\0");
	clients[0].out_size = 0;
	memcpy(packet, header, sizeof(header) - 1);
	for (size_t i = sizeof(header) - 1; i < sizeof(packet); i++)
		packet[i] = (char)(i * 7 + i / 256);
	for (size_t at = 0; at < sizeof(packet);) {
		const size_t left = sizeof(packet) - at;
		const size_t size = left < 1460 ? left : 1460;
		says(&clients[1], packet + at, size);
		at += size;
	}
	hears(&clients[0], packet, sizeof(packet));
	close_world();
}

static void wills_reach_subscribers(void)
{
	static const char connect[] = "\x10\x13\0\4MQTT\4\6\0\0\0\1w\0\1t\0\1x";
	const struct session_grant grant = {.verdict = SESSION_GRANTED};

	open_world(MQTT_V4);
	SAYS(0, "\x82\x06\0\1\0\1#\0");
	clients[0].out_size = 0;
	mqtt_session_close(&clients[1].session, now_us);
	mqtt_session_open(&clients[1].session, &ops, &clients[1], &conf, now_us);
	says(&clients[1], connect, sizeof(connect) - 1);
	mqtt_session_on_grant(&clients[1].session, &grant, now_us);
	SAYS(1, "\x82\x06\0\1\0\1#\0");
	CU_ASSERT_EQUAL(messages_alive(store), 1);
	clients[1].out_size = 0;
	mqtt_session_close(&clients[1].session, now_us);
	HEARS(0, "\x30\4\0\1tx");
	HEARS(1, "");
	CU_ASSERT_EQUAL(messages_alive(store), 0);
	mqtt_session_open(&clients[1].session, &ops, &clients[1], &conf, now_us);
	close_world();
}

static void lower_qos_of_the_two(void)
{
	open_world(MQTT_V4);
	SAYS(0, "\x82\x06\0\1\0\1a\1");
	SAYS(1, "\x82\x06\0\1\0\1a\2");
	clients[0].out_size = clients[1].out_size = 0;
	SAYS(2, "\x34\6\0\1a\0\7x");
	HEARS(0, "\x32\6\0\1a\0\1x");
	HEARS(1, "\x34\6\0\1a\0\1x");
	HEARS(2, "\x50\2\0\7");
	SAYS(2, "\x62\2\0\7");
	HEARS(2, "\x70\2\0\7");
	SAYS(0, "\x40\2\0\1");
	SAYS(1, "\x50\2\0\1");
	HEARS(1, "\x62\2\0\1");
	SAYS(1, "\x70\2\0\1");
	CU_ASSERT_EQUAL(counter_get(&counters, COUNTER_INFLIGHT), 0);
	close_world();
}

static void nobody_listens(void)
{
	open_world(MQTT_V5);
	SAYS(1, "\x32\7\0\1a\0\7\0x");
	HEARS(1, "\x40\3\0\7\x10");
	close_world();
}

/* Payloads are lent or copied when they are sent: what waits must still be whole then. */
static void what_waits_is_kept_whole(void)
{
	open_world(MQTT_V4);
	SAYS(0, "\x82\x06\0\1\0\1#\1");
	clients[0].out_size = OUT_SIZE;
	SAYS(1, "\x32\7\0\1a\0\1hi");
	SAYS(1, "\x32\7\0\1b\0\2ho");
	CU_ASSERT_EQUAL(counter_get(&counters, COUNTER_QUEUED), 2);
	clients[0].out_size = 0;
	mqtt_session_on_writable(&clients[0].session, now_us);
	HEARS(0, "\x32\7\0\1a\0\1hi\x32\7\0\1b\0\2ho");
	CU_ASSERT_EQUAL(messages_alive(store), 0);
	close_world();
}

static const struct unit_test tests[] = {
	{"reaches_subscribers_of_both_versions", reaches_subscribers_of_both_versions},
	{"properties_survive_the_fabric", properties_survive_the_fabric},
	{"identifiers_go_along", identifiers_go_along},
	{"no_local_is_kept", no_local_is_kept},
	{"retain_as_published", retain_as_published},
	{"unsubscribed_hears_nothing", unsubscribed_hears_nothing},
	{"order_is_kept", order_is_kept},
	{"large_payloads_stream", large_payloads_stream},
	{"wills_reach_subscribers", wills_reach_subscribers},
	{"lower_qos_of_the_two", lower_qos_of_the_two},
	{"nobody_listens", nobody_listens},
	{"what_waits_is_kept_whole", what_waits_is_kept_whole},
};

int main(int argc, char **argv)
{
	return UNIT_MAIN("mqtt_fabric", tests, argc, argv);
}
