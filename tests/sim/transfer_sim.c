/* transfer_sim.c - messages cross the box byte-exact over a bad wire, in virtual time.
 *
 * 5 % loss, reordering and duplication in both directions; corruption flips one
 * bit a frame, which checksums always see. Content is a function of position,
 * so that a wrong byte is seen wherever it comes from. */
#include "dataplane/base/assert.h"
#include "dataplane/base/rng.h"
#include "tests/sim/client.h"
#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>

enum {
	MANY_SIZE = 1000,
	WINDOW = 512, /* messages that the publisher lets be under way: QoS 0 has no other brake */
	SECOND_US = 1000000,
};

struct transfer {
	struct world *world;
	struct client *publisher, *subscriber;
	uint64_t total;      /* bytes to send */
	uint64_t sent, seen; /* bytes */
	uint64_t messages;   /* whole ones that arrived */
	uint32_t size;       /* of one message */
	bool subscribed, wrong;
	uint8_t *pattern;
};

static uint8_t byte_at(uint64_t position)
{
	return (uint8_t)((position * 0x9e3779b97f4a7c15u) >> 56);
}

static void on_connected(void *owner, struct client *c)
{
	struct transfer *t = (struct transfer *)owner;

	if (c == t->subscriber)
		client_subscribe(c, "load/#");
}

static void on_subscribed(void *owner, struct client *c)
{
	(void)c;
	((struct transfer *)owner)->subscribed = true;
}

static void on_message(
	void *owner, struct client *c, struct span topic, struct span piece, bool whole)
{
	struct transfer *t = (struct transfer *)owner;

	(void)c;
	t->wrong |= !span_equal(topic, span_str("load/x"));
	for (size_t i = 0; i < piece.size; i++)
		t->wrong |= piece.at[i] != byte_at(t->seen + i);
	t->seen += piece.size;
	t->messages += whole;
}

static bool ready(void *owner)
{
	const struct transfer *t = (const struct transfer *)owner;

	return t->subscribed && client_live(t->publisher);
}

static void fill(uint8_t *to, uint64_t from, size_t n)
{
	for (size_t i = 0; i < n; i++)
		to[i] = byte_at(from + i);
}

/* Publishes what may be sent now; done when all has arrived. */
static bool pump_many(void *owner)
{
	struct transfer *t = (struct transfer *)owner;

	while (t->sent < t->total && t->sent - t->seen < (uint64_t)WINDOW * t->size) {
		fill(t->pattern, t->sent, t->size);
		if (!client_publish(t->publisher, "load/x", span_of(t->pattern, t->size)))
			break;
		t->sent += t->size;
	}
	return t->seen >= t->total || t->wrong;
}

static bool pump_one(void *owner)
{
	struct transfer *t = (struct transfer *)owner;

	while (t->sent < t->total) {
		const uint64_t left = t->total - t->sent;
		const size_t n = left < 16384 ? (size_t)left : 16384;
		fill(t->pattern, t->sent, n);
		if (!client_write(t->publisher, span_of(t->pattern, n)))
			break;
		t->sent += n;
	}
	return t->seen >= t->total || t->wrong;
}

static struct world_conf bad_wire(uint64_t seed)
{
	struct world_conf conf = world_defaults(seed);

	conf.impair = (struct impair_settings){.loss_ppm = 50000,
		.reorder_ppm = 20000,
		.duplicate_ppm = 10000,
		.corrupt_ppm = 1000,
		.delay_us = 200};
	return conf;
}

static struct transfer begin(struct transfer *t, const struct world_conf *conf)
{
	const struct client_events events = {.connected = on_connected,
		.subscribed = on_subscribed,
		.message = on_message,
		.owner = t};

	t->pattern = malloc(16384);
	ASSERT(t->pattern != NULL);
	t->world = world_create(conf);
	t->publisher = client_new(t->world, "publisher", &events);
	t->subscriber = client_new(t->world, "subscriber", &events);
	client_connect(t->subscriber);
	client_connect(t->publisher);
	CU_ASSERT_FATAL(world_run(t->world, ready, t, 60ull * SECOND_US));
	return *t;
}

static uint64_t end(struct transfer *t)
{
	const uint64_t trace = world_trace(t->world);

	if (t->wrong || t->seen != t->total) {
		printf("# sent %lu, seen %lu at %lu us\n", (unsigned long)t->sent,
			(unsigned long)t->seen, (unsigned long)world_now_us(t->world));
		world_print_errors(t->world);
	}
	CU_ASSERT_FALSE(t->wrong);
	CU_ASSERT_EQUAL(t->seen, t->total);
	CU_ASSERT_EQUAL(t->messages, t->total / t->size);
	CU_ASSERT_EQUAL(
		world_counter(t->world, (enum counter)(COUNTER_NAMED + ERR_SEND_QUEUE_FULL)), 0);
	free(t->pattern);
	world_destroy(&t->world);
	return trace;
}

static void hundred_megabytes_as_messages(void)
{
	struct transfer t = {.total = 100ull * 1000 * 1000, .size = MANY_SIZE};
	const struct world_conf conf = bad_wire(unit_seed());

	begin(&t, &conf);
	CU_ASSERT(world_run(t.world, pump_many, &t, 3600ull * SECOND_US));
	end(&t);
}

static void one_message_of_ten_megabytes(void)
{
	struct transfer t = {.total = 10u << 20, .size = 10u << 20};
	const struct world_conf conf = bad_wire(unit_seed() + 1);

	begin(&t, &conf);
	CU_ASSERT_FATAL(client_publish_header(t.publisher, "load/x", t.size));
	CU_ASSERT(world_run(t.world, pump_one, &t, 600ull * SECOND_US));
	end(&t);
}

static uint64_t small_transfer(uint64_t seed)
{
	struct transfer t = {.total = 2000000, .size = MANY_SIZE};
	const struct world_conf conf = bad_wire(seed);

	begin(&t, &conf);
	CU_ASSERT(world_run(t.world, pump_many, &t, 600ull * SECOND_US));
	return end(&t);
}

static void replays_bit_identically(void)
{
	const uint64_t seed = unit_seed() + 2;
	const uint64_t first = small_transfer(seed);

	CU_ASSERT_EQUAL(small_transfer(seed), first);
	CU_ASSERT_NOT_EQUAL(small_transfer(seed + 1), first);
}

static const struct unit_test tests[] = {
	{"hundred_megabytes_as_messages", hundred_megabytes_as_messages},
	{"one_message_of_ten_megabytes", one_message_of_ten_megabytes},
	{"replays_bit_identically", replays_bit_identically},
};

int main(int argc, char **argv)
{
	return UNIT_MAIN("transfer", tests, argc, argv);
}
