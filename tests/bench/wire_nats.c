/* wire_nats.c - the NATS text protocol as a client speaks it. See wire.h.
 *
 * NATS acknowledges neither CONNECT nor SUB: a PING behind them is answered by a PONG when they
 * have been carried out. Topics are subjects: '/' becomes '.'. */
#include "tests/bench/wire.h"

#include <stdio.h>

enum { LINE_MAX_BYTES = 16 << 10, SIZE_DIGITS_MAX = 9 };

static void write_subject(struct writer *w, const char *topic)
{
	for (; *topic != '\0'; topic++)
		write_u8(w, *topic == '/' ? '.' : (uint8_t)*topic);
}

static void nats_connect(struct writer *w, const char *id)
{
	write_bytes(w, span_str("CONNECT {\"verbose\":false,\"pedantic\":false,\"lang\":\"c\","
				"\"version\":\"1\",\"name\":\""));
	write_bytes(w, span_str(id));
	write_bytes(w, span_str("\"}\r\nPING\r\n"));
}

static void nats_subscribe(struct writer *w, const char *topic, uint8_t qos)
{
	(void)qos; /* there is one */
	write_bytes(w, span_str("SUB "));
	write_subject(w, topic);
	write_bytes(w, span_str(" 1\r\nPING\r\n"));
}

static void nats_publish(
	struct writer *w, const char *topic, struct span payload, uint8_t qos, uint16_t packet_id)
{
	char size[16];

	(void)qos;
	(void)packet_id;
	write_bytes(w, span_str("PUB "));
	write_subject(w, topic);
	snprintf(size, sizeof(size), " %zu\r\n", payload.size);
	write_bytes(w, span_str(size));
	write_bytes(w, payload);
	write_bytes(w, span_str("\r\n"));
}

static void nats_ack(struct writer *w, const struct wire_event *to)
{
	if (to->kind == WIRE_PING)
		write_bytes(w, span_str("PONG\r\n"));
}

static void nats_disconnect(struct writer *w)
{
	(void)w;
}

static bool begins(struct span line, const char *word)
{
	const size_t n = strlen(word);

	return line.size >= n && memcmp(line.at, word, n) == 0;
}

/* The last word of "MSG subject sid [reply-to] #bytes"; false: no number. */
static bool read_size(struct span line, size_t *out)
{
	size_t at = line.size, size = 0;

	while (at > 0 && line.at[at - 1] != ' ')
		at--;
	if (at == line.size || line.size - at > SIZE_DIGITS_MAX)
		return false;
	for (; at < line.size; at++) {
		if (line.at[at] < '0' || line.at[at] > '9')
			return false;
		size = size * 10 + (size_t)(line.at[at] - '0');
	}
	*out = size;
	return true;
}

static struct decoded decode_message(struct span in, struct span line, struct wire_event *out)
{
	const size_t head = line.size + 2;
	size_t size = 0;

	if (!read_size(line, &size))
		return decode_bad(ERR_LENGTH_ENCODING);
	if (in.size < head + size + 2)
		return decode_more(head + size + 2);
	out->kind = WIRE_MESSAGE;
	out->payload = span_of(in.at + head, size);
	return decode_done(head + size + 2);
}

static struct decoded nats_decode_one(struct span in, struct wire_event *out)
{
	*out = (struct wire_event){.kind = WIRE_NOTHING};
	const uint8_t *end = in.size == 0 ? NULL : (const uint8_t *)memchr(in.at, '\n', in.size);
	if (end == NULL)
		return in.size < LINE_MAX_BYTES ? decode_more(in.size + 1)
						: decode_bad(ERR_FRAME_TOO_BIG);
	const size_t used = (size_t)(end - in.at) + 1;
	if (used < 2 || in.at[used - 2] != '\r')
		return decode_bad(ERR_LENGTH_ENCODING);
	const struct span line = span_of(in.at, used - 2);
	if (begins(line, "MSG "))
		return decode_message(in, line, out);
	if (begins(line, "PING"))
		out->kind = WIRE_PING;
	else if (begins(line, "PONG"))
		out->kind = WIRE_ANSWER;
	else if (begins(line, "-ERR"))
		out->kind = WIRE_REFUSED;
	return decode_done(used);
}

const struct wire wire_nats = {.name = "nats",
	.speaks_first = true,
	.qos_max = 0,
	.connect = nats_connect,
	.subscribe = nats_subscribe,
	.publish = nats_publish,
	.ack = nats_ack,
	.disconnect = nats_disconnect,
	.decode = nats_decode_one};
