/* fabric_bench.c - how long does fan-out take, but for the delivery itself? Run it by hand.
 *
 *	fabric_bench [SUBSCRIBERS]...    default: 1, 1000, 100000
 *
 * Once with all of them on one filter, once on two that both match. */
#include "dataplane/fabric/fabric.h"

#include "dataplane/base/assert.h"
#include "dataplane/base/rng.h"
#include "tests/unit/eal.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { DELIVERIES = 10000000 };

static struct counters counters;

static double now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void on_deliver(void *owner, const struct delivery *d, struct message *m)
{
	uint64_t *sum = owner;
	(void)m;
	*sum += d->index;
}

/* In random order, as connections come and go: neighbours in a list lie apart in memory. */
static void subscribe_all(struct fabric *f, uint32_t subscribers, const char *filter)
{
	const struct subscription_options options = {.qos_max = 1};
	struct rng rng = rng_from(7);
	bool was_new;
	uint32_t *order = malloc(subscribers * sizeof(*order));
	ASSERT(order != NULL);
	for (uint32_t i = 0; i < subscribers; i++) {
		const uint32_t j = rng_below(&rng, i + 1);
		order[i] = order[j];
		order[j] = i;
	}
	const double before = now_s();
	for (uint32_t i = 0; i < subscribers; i++) {
		const enum err e =
			fabric_subscribe(f, order[i], span_str(filter), &options, &was_new);
		ASSERT(e == ERR_NONE);
	}
	printf("  subscribe %8.1f ns\n", (now_s() - before) / subscribers * 1e9);
	free(order);
}

static void publish(struct fabric *f, struct message *m, uint32_t subscribers, const char *what)
{
	const uint32_t rounds = DELIVERIES / (subscribers + 10);
	const double before = now_s();

	for (uint32_t i = 0; i < rounds; i++) {
		const uint32_t deliveries = fabric_publish(f, m, FABRIC_ALL);
		ASSERT(deliveries == subscribers);
	}
	printf("  %-9s %8.1f ns a delivery\n", what,
		(now_s() - before) / rounds / subscribers * 1e9);
}

static void run(struct messages *store, uint32_t subscribers)
{
	const struct message_props props = {0};
	uint64_t sum = 0;
	const struct fabric_conf conf = {.connections_max = subscribers,
		.subscriptions_max = 2 * subscribers,
		.match = {.filters_max = 1024, .filter_bytes_max = 65536, .key = {1, 2}},
		.counters = &counters,
		.deliver = on_deliver,
		.owner = &sum};
	struct fabric *f = fabric_create(&conf);
	struct message *m = message_begin(store, span_str("plant1/line2/sensor3"), &props, 0);

	ASSERT(f != NULL && m != NULL);
	printf("%u subscribers\n", subscribers);
	subscribe_all(f, subscribers, "plant1/line2/sensor3");
	publish(f, m, subscribers, "one list");
	subscribe_all(f, subscribers, "plant1/+/sensor3");
	publish(f, m, subscribers, "two lists");
	message_put(&m);
	fabric_destroy(&f);
}

int main(int argc, char **argv)
{
	const struct messages_conf conf = {
		.count = 1, .segments = unit_pool(1), .counters = &counters};
	struct messages *store = messages_create(&conf);

	ASSERT(store != NULL);
	if (argc < 2) {
		run(store, 1);
		run(store, 1000);
		run(store, 100000);
	}
	for (int i = 1; i < argc; i++)
		run(store, (uint32_t)strtoul(argv[i], NULL, 0));
	messages_destroy(&store);
	return 0;
}
