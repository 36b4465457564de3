/* match_bench.c - how long do insertion, lookup and removal take? Not a test: run it by hand.
 *
 *	match_bench [EXACT WILD]...    default: 10000 0, 10000 1000, 1000000 100000
 *
 * Filters are literal topics of three levels, and wildcards of four shapes over
 * them; topics are asked in random order, half of them subscribed to. */
#include "dataplane/match/match.h"

#include "dataplane/base/assert.h"
#include "dataplane/base/rng.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { LOOKUPS = 2000000, TOPICS = 1 << 16, TEXT = 64 };

struct bench {
	struct match *m;
	struct counters *counters;
	uint32_t exact, wild;
	uint32_t hits;
	char (*topic)[TEXT];
	uint8_t *topic_size;
};

static double now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* The i-th topic: a plant, a line and a sensor. */
static int topic_text(char *to, uint32_t i)
{
	return snprintf(to, TEXT, "plant%u/line%u/sensor%u", i % 97, i / 97 % 1009, i);
}

static int wild_text(char *to, uint32_t i)
{
	switch (i % 4) {
	case 0:
		return snprintf(to, TEXT, "plant%u/+/sensor%u", i % 97, i);
	case 1:
		return snprintf(to, TEXT, "+/line%u/sensor%u", i / 97 % 1009, i);
	case 2:
		return snprintf(to, TEXT, "plant%u/line%u/+/%u", i % 97, i / 97 % 1009, i);
	default:
		return snprintf(to, TEXT, "plant%u/line%u/sensor%u/#", i % 97, i / 97 % 1009, i);
	}
}

static void report(const char *what, double seconds, uint32_t n)
{
	printf("  %-8s %8.1f ns  %6.2f M/s\n", what, seconds / n * 1e9, n / seconds * 1e-6);
}

static void insert_all(struct bench *b)
{
	char text[TEXT];
	uint32_t id;
	const double before = now_s();

	for (uint32_t i = 0; i < b->exact + b->wild; i++) {
		const int size = i < b->exact ? topic_text(text, i) : wild_text(text, i - b->exact);
		const enum err e = match_insert(b->m, span_of(text, (size_t)size), &id);
		ASSERT(e == ERR_NONE);
	}
	report("insert", now_s() - before, b->exact + b->wild);
}

static void on_hit(void *owner, uint32_t id)
{
	struct bench *b = owner;
	(void)id;
	b->hits++;
}

static void look_up(struct bench *b)
{
	struct rng rng = rng_from(7);

	/* Made beforehand: printing takes longer than matching. */
	for (uint32_t i = 0; i < TOPICS; i++)
		b->topic_size[i] = (uint8_t)topic_text(b->topic[i], rng_below(&rng, 2 * b->exact));
	b->hits = 0;
	const double before = now_s();
	for (uint32_t i = 0; i < LOOKUPS; i++) {
		const uint32_t t = i % TOPICS;
		(void)match_topic(b->m, span_of(b->topic[t], b->topic_size[t]), on_hit, b);
	}
	report("lookup", now_s() - before, LOOKUPS);
	printf("  %.2f hits a lookup\n", (double)b->hits / LOOKUPS);
}

static void remove_all(struct bench *b)
{
	const double before = now_s();

	for (uint32_t id = 0; id < b->exact + b->wild; id++)
		match_remove(b->m, id);
	report("remove", now_s() - before, b->exact + b->wild);
}

static void run(uint32_t exact, uint32_t wild)
{
	struct bench b = {.exact = exact, .wild = wild};

	b.counters = calloc(1, sizeof(*b.counters));
	b.topic = calloc(TOPICS, TEXT);
	b.topic_size = calloc(TOPICS, 1);
	ASSERT(b.counters != NULL && b.topic != NULL && b.topic_size != NULL);
	const struct match_conf conf = {.filters_max = exact + wild,
		.filter_bytes_max = (size_t)40 * (exact + wild),
		.key = {0x0123456789abcdef, 0xfedcba9876543210},
		.counters = b.counters};
	b.m = match_create(&conf);
	ASSERT(b.m != NULL);
	printf("%u exact and %u wildcard filters, %.1f MB\n", exact, wild,
		(double)match_bytes(&conf) * 1e-6);
	insert_all(&b);
	look_up(&b);
	remove_all(&b);
	match_destroy(&b.m);
	free(b.counters);
	free(b.topic);
	free(b.topic_size);
}

int main(int argc, char **argv)
{
	if (argc < 3) {
		run(10000, 0);
		run(10000, 1000);
		run(1000000, 100000);
	}
	for (int i = 1; i + 1 < argc; i += 2)
		run((uint32_t)strtoul(argv[i], NULL, 0), (uint32_t)strtoul(argv[i + 1], NULL, 0));
	return 0;
}
