/* wire_fuzz.c - whatever a broker may answer. First byte: the protocol; the rest is a stream.
 *
 * A message is encoded again and must be heard as the same. */
#include "dataplane/base/assert.h"
#include "tests/bench/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct wire *const wires[] = {&wire_mqtt, &wire_nats};

static void answer(const struct wire *wire, const struct wire_event *e)
{
	uint8_t bytes[16];
	struct writer w = writer_of(bytes, sizeof(bytes));

	wire->ack(&w, e);
	ASSERT(!w.bad);
}

static void say_again(const struct wire *wire, const struct wire_event *e)
{
	static uint8_t bytes[1 << 20];
	struct writer w = writer_of(bytes, sizeof(bytes));
	struct wire_event again;

	if (e->payload.size > sizeof(bytes) - WIRE_OVERHEAD_MAX || e->qos > wire->qos_max)
		return;
	wire->publish(&w, "a/b", e->payload, e->qos, e->packet_id);
	ASSERT(!w.bad);
	if (wire != &wire_mqtt)
		return; /* what NATS sends is not what it hears */
	const struct decoded d = wire->decode(writer_span(&w), &again);
	ASSERT(d.verdict == DECODE_DONE && d.used == writer_used(&w));
	ASSERT(again.kind == WIRE_MESSAGE && again.qos == e->qos);
	ASSERT(span_equal(again.payload, e->payload));
}

static void introduce(const struct wire *wire)
{
	uint8_t bytes[256];
	struct writer w = writer_of(bytes, sizeof(bytes));

	wire->connect(&w, "id");
	wire->subscribe(&w, "a/b", 0);
	wire->disconnect(&w);
	ASSERT(!w.bad && wire_of(wire->name) == wire);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct wire_event e;
	struct decoded d;

	if (size == 0)
		return 0;
	const struct wire *wire = wires[data[0] & 1];
	struct span in = span_of(data + 1, size - 1);
	introduce(wire);
	while ((d = wire->decode(in, &e)).verdict == DECODE_DONE) {
		ASSERT(d.used > 0 && d.used <= in.size);
		ASSERT(e.payload.size == 0 ||
			(e.payload.at > in.at && e.payload.at + e.payload.size <= in.at + d.used));
		answer(wire, &e);
		if (e.kind == WIRE_MESSAGE)
			say_again(wire, &e);
		in = span_skip(in, d.used);
	}
	ASSERT(d.verdict == DECODE_BAD ? d.err != ERR_NONE : d.need > in.size);
	return 0;
}
