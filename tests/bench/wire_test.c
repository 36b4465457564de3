/* wire_test.c - what the generator says and hears, byte by byte; and the box's own codec as a
 * second opinion on its MQTT. */
#include "tests/bench/wire.h"

#include "dataplane/codec/mqtt.h"
#include "tests/unit/unit.h"

#include <stdlib.h>

static uint8_t bytes[4096];

static struct writer fresh(void)
{
	return writer_of(bytes, sizeof(bytes));
}

static bool says(const struct writer *w, const char *text, size_t size)
{
	return !w->bad && span_equal(writer_span(w), span_of(text, size));
}

#define SAYS(w, text) says((w), (text), sizeof(text) - 1)

static void mqtt_says(void)
{
	struct writer w = fresh();

	wire_mqtt.connect(&w, "c1");
	CU_ASSERT(SAYS(&w, "\x10\x0e\0\x04MQTT\x04\x02\0\0\0\x02"
			   "c1"));
	w = fresh();
	wire_mqtt.subscribe(&w, "a/b", 1);
	CU_ASSERT(SAYS(&w, "\x82\x08\0\x01\0\x03"
			   "a/b\x01"));
	w = fresh();
	wire_mqtt.publish(&w, "t", span_str("xy"), 0, 7);
	CU_ASSERT(SAYS(&w, "\x30\x05\0\x01"
			   "txy"));
	w = fresh();
	wire_mqtt.publish(&w, "t", span_str("xy"), 2, 0x0102);
	CU_ASSERT(SAYS(&w, "\x34\x07\0\x01t\x01\x02"
			   "xy"));
	w = fresh();
	wire_mqtt.disconnect(&w);
	CU_ASSERT(SAYS(&w, "\xe0\0"));
}

static void mqtt_answers(void)
{
	static const struct {
		struct wire_event to;
		const char *bytes;
	} rows[] = {
		{{.kind = WIRE_MESSAGE, .qos = 1, .packet_id = 258}, "\x40\x02\x01\x02"},
		{{.kind = WIRE_MESSAGE, .qos = 2, .packet_id = 258}, "\x50\x02\x01\x02"},
		{{.kind = WIRE_PUBREC, .packet_id = 258}, "\x62\x02\x01\x02"},
		{{.kind = WIRE_PUBREL, .packet_id = 258}, "\x70\x02\x01\x02"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct writer w = fresh();
		wire_mqtt.ack(&w, &rows[i].to);
		CU_ASSERT(says(&w, rows[i].bytes, 4));
	}
}

/* A long length, of which the box's decoder must think the same. */
static void mqtt_agrees_with_the_box(void)
{
	static uint8_t payload[1000];
	const struct mqtt_limits limits = {1 << 20, 1 << 16};
	struct mqtt_frame f;
	struct mqtt_publish p;
	struct writer w = fresh();

	wire_mqtt.publish(&w, "some/topic", span_of(payload, sizeof(payload)), 1, 99);
	const struct decoded d = mqtt_decode(writer_span(&w), MQTT_V4, &limits, &f);
	CU_ASSERT_EQUAL(d.verdict, DECODE_DONE);
	CU_ASSERT_EQUAL(d.used + f.payload_size, writer_used(&w));
	CU_ASSERT_EQUAL(f.payload_size, sizeof(payload));
	CU_ASSERT_EQUAL(mqtt_decode_publish(&f, MQTT_V4, &p), ERR_NONE);
	CU_ASSERT(span_equal(p.topic, span_str("some/topic")));
	CU_ASSERT_EQUAL(p.packet_id, 99);
	CU_ASSERT_EQUAL(p.qos, 1);
}

/* Copies of exact size, so that ASan sees a read too far; every shorter one asks for more. */
static struct decoded decode(const struct wire *wire, struct span in, struct wire_event *out)
{
	static uint8_t *copy;

	for (size_t n = 0; n <= in.size; n++) {
		free(copy);
		copy = (uint8_t *)malloc(n + (n == 0));
		if (n > 0)
			memcpy(copy, in.at, n);
		const struct decoded d = wire->decode(span_of(copy, n), out);
		if (n == in.size)
			return d;
		CU_ASSERT(d.verdict == DECODE_MORE && d.need > n && d.need <= in.size);
	}
	return decode_bad(ERR_NONE);
}

#define HEARS(wire, text, out) decode((wire), span_of((text), sizeof(text) - 1), (out))

static void mqtt_hears(void)
{
	struct wire_event e;

	CU_ASSERT_EQUAL(HEARS(&wire_mqtt, "\x20\x02\0\0", &e).used, 4);
	CU_ASSERT_EQUAL(e.kind, WIRE_ANSWER);
	HEARS(&wire_mqtt, "\x20\x02\0\x05", &e);
	CU_ASSERT_EQUAL(e.kind, WIRE_REFUSED);
	HEARS(&wire_mqtt, "\x90\x03\0\x01\x01", &e);
	CU_ASSERT_EQUAL(e.kind, WIRE_ANSWER);
	HEARS(&wire_mqtt, "\x90\x03\0\x01\x80", &e);
	CU_ASSERT_EQUAL(e.kind, WIRE_REFUSED);
	CU_ASSERT_EQUAL(HEARS(&wire_mqtt, "\x32\x08\0\x01t\x01\x02xyz", &e).used, 10);
	CU_ASSERT_EQUAL(e.kind, WIRE_MESSAGE);
	CU_ASSERT_EQUAL(e.qos, 1);
	CU_ASSERT_EQUAL(e.packet_id, 258);
	CU_ASSERT(span_equal(e.payload, span_str("xyz")));
	HEARS(&wire_mqtt, "\x62\x02\x01\x02", &e);
	CU_ASSERT(e.kind == WIRE_PUBREL && e.packet_id == 258);
	HEARS(&wire_mqtt, "\xd0\0", &e);
	CU_ASSERT_EQUAL(e.kind, WIRE_NOTHING);
}

static void mqtt_refuses(void)
{
	struct wire_event e;

	CU_ASSERT_EQUAL(HEARS(&wire_mqtt, "\x30\x01\0", &e).verdict, DECODE_BAD);
	CU_ASSERT_EQUAL(HEARS(&wire_mqtt, "\x32\x03\0\x01t", &e).verdict, DECODE_BAD);
	CU_ASSERT_EQUAL(HEARS(&wire_mqtt, "\x40\x01\0", &e).verdict, DECODE_BAD);
	CU_ASSERT_EQUAL(HEARS(&wire_mqtt, "\x20\x01\0", &e).verdict, DECODE_BAD);
	CU_ASSERT_EQUAL(wire_mqtt.decode(span_str("\x30\xff\xff\xff\xff"), &e).verdict, DECODE_BAD);
}

static void nats_says(void)
{
	const struct wire_event ping = {.kind = WIRE_PING};
	struct writer w = fresh();

	wire_nats.connect(&w, "c1");
	CU_ASSERT(SAYS(&w, "CONNECT {\"verbose\":false,\"pedantic\":false,\"lang\":\"c\","
			   "\"version\":\"1\",\"name\":\"c1\"}\r\nPING\r\n"));
	w = fresh();
	wire_nats.subscribe(&w, "a/b", 0);
	CU_ASSERT(SAYS(&w, "SUB a.b 1\r\nPING\r\n"));
	w = fresh();
	wire_nats.publish(&w, "a/b", span_str("xyz"), 0, 0);
	CU_ASSERT(SAYS(&w, "PUB a.b 3\r\nxyz\r\n"));
	w = fresh();
	wire_nats.ack(&w, &ping);
	CU_ASSERT(SAYS(&w, "PONG\r\n"));
}

static void nats_hears(void)
{
	struct wire_event e;

	CU_ASSERT_EQUAL(HEARS(&wire_nats, "INFO {\"a\":1}\r\n", &e).used, 14);
	CU_ASSERT_EQUAL(e.kind, WIRE_NOTHING);
	HEARS(&wire_nats, "PONG\r\n", &e);
	CU_ASSERT_EQUAL(e.kind, WIRE_ANSWER);
	HEARS(&wire_nats, "PING\r\n", &e);
	CU_ASSERT_EQUAL(e.kind, WIRE_PING);
	HEARS(&wire_nats, "-ERR 'no'\r\n", &e);
	CU_ASSERT_EQUAL(e.kind, WIRE_REFUSED);
	CU_ASSERT_EQUAL(HEARS(&wire_nats, "MSG a.b 1 5\r\nx\r\nyz\r\n", &e).used, 20);
	CU_ASSERT(e.kind == WIRE_MESSAGE && span_equal(e.payload, span_str("x\r\nyz")));
	HEARS(&wire_nats, "MSG a.b 1 reply 0\r\n\r\n", &e);
	CU_ASSERT(e.kind == WIRE_MESSAGE && e.payload.size == 0);
}

static void nats_refuses(void)
{
	struct wire_event e;
	static uint8_t endless[20000];

	CU_ASSERT_EQUAL(HEARS(&wire_nats, "MSG a.b 1 x\r\n", &e).verdict, DECODE_BAD);
	CU_ASSERT_EQUAL(HEARS(&wire_nats, "MSG a.b 1 \r\n", &e).verdict, DECODE_BAD);
	CU_ASSERT_EQUAL(HEARS(&wire_nats, "MSG a.b 1 1234567890\r\n", &e).verdict, DECODE_BAD);
	CU_ASSERT_EQUAL(HEARS(&wire_nats, "PONG\n", &e).verdict, DECODE_BAD);
	CU_ASSERT_EQUAL(
		wire_nats.decode(span_of(endless, sizeof(endless)), &e).verdict, DECODE_BAD);
}

static void are_found_by_name(void)
{
	CU_ASSERT_PTR_EQUAL(wire_of("mqtt"), &wire_mqtt);
	CU_ASSERT_PTR_EQUAL(wire_of("nats"), &wire_nats);
	CU_ASSERT_PTR_NULL(wire_of("amqp"));
}

static const struct unit_test tests[] = {
	{"mqtt_says", mqtt_says},
	{"mqtt_answers", mqtt_answers},
	{"mqtt_agrees_with_the_box", mqtt_agrees_with_the_box},
	{"mqtt_hears", mqtt_hears},
	{"mqtt_refuses", mqtt_refuses},
	{"nats_says", nats_says},
	{"nats_hears", nats_hears},
	{"nats_refuses", nats_refuses},
	{"are_found_by_name", are_found_by_name},
};

int main(int argc, char **argv)
{
	return UNIT_MAIN("wire", tests, argc, argv);
}
