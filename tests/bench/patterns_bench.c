/* patterns_bench.c - what the engines cost, and what a worker notices when a tier is exchanged. Not
 *a test: run it by hand.
 *
 *	COMPILER=.../signalbox-compiler patterns_bench [PATTERNS]    default: 4000
 *
 * Costs: lookups by shape, scans of tiers of several sizes, comparisons by the
 * interpreter; the constants of match/plan.h come from here. Swap: 50 times a
 * new version of a tier is written, made by the service thread beside, and taken in by a
 * loop that does in each turn what a worker does about it, and matches one
 * topic. Printed: the longest turn of each swap, and, of the same loop over as many
 * turns with nothing to take in, the longest gap: the machine's own noise. By the wall, which
 * on a machine with other work says more about that, and in processor time of the thread. */
#include "tests/patterns/rig.h"

#include "dataplane/base/assert.h"
#include "dataplane/match/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { SWAPS = 50, LOOKUPS = 200000, TEXT = 128, TOPICS = 1024 };

static struct rig rig;
static uint8_t topics[TOPICS][TEXT];
static size_t topic_size[TOPICS];
static volatile uint32_t hits;

static double clock_us(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec * 1e-3;
}

/* Of this thread: what others take from the machine does not count. */
static double cpu_us(void)
{
	return clock_us(CLOCK_THREAD_CPUTIME_ID);
}

static void on_hit(void *owner, uint32_t id)
{
	(void)owner, (void)id;
	hits = hits + 1;
}

static void make_topics(uint32_t patterns)
{
	for (uint32_t i = 0; i < TOPICS; i++)
		topic_size[i] = rig_topic(i * 7919 % patterns, topics[i], TEXT).size;
}

static double match_ns(struct match *m, uint32_t lookups)
{
	const double before = cpu_us();

	for (uint32_t i = 0; i < lookups; i++)
		(void)match_topic(
			m, span_of(topics[i % TOPICS], topic_size[i % TOPICS]), on_hit, NULL);
	return (cpu_us() - before) * 1e3 / lookups;
}

static struct match *matcher(void)
{
	static struct counters counters;
	const struct match_conf conf = {.filters_max = 20000,
		.filter_bytes_max = 16 << 20,
		.patterns_max = 8192,
		.pattern_size_max = 1024,
		.key = {1, 2},
		.counters = &counters};
	struct match *m = match_create(&conf);

	ASSERT(m != NULL);
	return m;
}

static void insert_shape(struct match *m, uint32_t bits)
{
	char filter[] = "q/q/q/q/q";
	uint32_t id;

	for (uint32_t i = 0; i < 5; i++)
		if (bits >> i & 1)
			filter[2 * i] = '+';
	const enum err e = match_insert(m, span_str(filter), &id);
	ASSERT(e == ERR_NONE);
}

/* Filters of many shapes over topics of five levels, so that each lookup is made. */
static void cost_of_shapes(void)
{
	struct match *m = matcher();

	m->shapes_cheap = UINT32_MAX;
	for (uint32_t i = 0; i < TOPICS; i++)
		topic_size[i] = (size_t)snprintf(
			(char *)topics[i], TEXT, "plant%u/line%u/a/b/sensor%u", i % 97, i % 11, i);
	const double nothing = match_ns(m, LOOKUPS);
	insert_shape(m, 31);
	const double one = match_ns(m, LOOKUPS);
	for (uint32_t bits = 1; bits < 31; bits++)
		insert_shape(m, bits);
	printf("the whole topic: %.0f ns; with one shape: %.0f ns; each further one: %.1f ns\n",
		nothing, one, (match_ns(m, LOOKUPS) - one) / 30);
	match_destroy(&m);
}

static void cost_of_interpreting(void)
{
	struct match *m = matcher();
	uint8_t text[TEXT];
	uint32_t id;

	make_topics(5000);
	for (uint32_t i = 0; i < 500; i++) {
		const enum err e = match_insert(m, rig_filter(i, text, TEXT), &id);
		ASSERT(e == ERR_NONE);
	}
	printf("a comparison by the interpreter: %.0f ns (AMQP and expressions, 3 to 2)\n",
		match_ns(m, 2000) / 500);
	match_destroy(&m);
}

static void cost_of_scans(uint32_t patterns)
{
	static const struct rig_conf conf = {.patterns_max = 8192,
		.cpu_s = 600,
		.memory_bytes = 4ull << 30,
		.database_bytes = 16 << 20};
	const uint32_t sizes[] = {1, 64, 256, 1000, patterns};
	uint8_t text[TEXT];
	uint32_t there = 0;

	if (!rig_start(&rig, &conf)) {
		fputs("COMPILER is not set to signalbox-compiler\n", stderr);
		exit(1);
	}
	make_topics(patterns);
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		for (; there < sizes[i]; there++) {
			const enum err e = rig_insert(&rig, rig_filter(there, text, TEXT));
			ASSERT(e == ERR_NONE);
		}
		const bool settled = rig_settle(&rig);
		ASSERT(settled);
		uint32_t tiers = 0;
		for (uint32_t seat = 0; seat < TIER_SEATS; seat++)
			tiers += rig.match[0]->patterns.seat[seat] != NULL;
		printf("%u patterns in %u tiers: %.0f ns a topic; the last set was compiled in "
		       "%.2f s\n",
			there, tiers, match_ns(rig.match[0], LOOKUPS),
			(double)counter_get(&rig.control, COUNTER_PATTERN_COMPILE_US) * 1e-6);
	}
}

/* The seat with the most, and its version, to be written again and again. */
static uint32_t largest_seat(void)
{
	uint32_t best = 0, most = 0;

	for (uint32_t seat = 0; seat < TIER_SEATS; seat++) {
		const struct tier *t = rig.match[0]->patterns.seat[seat];
		if (t != NULL && tier_count(t) > most) {
			most = tier_count(t);
			best = seat;
		}
	}
	printf("swaps of a tier of %u patterns, %zu bytes\n", most,
		shm_tier_size(rig.region, best, shm_tiers_page(rig.region)->number[best]));
	return best;
}

struct turns {
	double longest_us, longest_cpu_us; /* of one turn */
	double cpu_us;                     /* of all */
	uint32_t count;
};

static void turn(struct turns *t, bool takes_in)
{
	const uint32_t i = t->count++ % TOPICS;
	const double wall = clock_us(CLOCK_MONOTONIC), cpu = cpu_us();

	if (takes_in)
		(void)letters_take_in(&rig.letters[0], rig.match[0]);
	(void)match_topic(rig.match[0], span_of(topics[i], topic_size[i]), on_hit, NULL);
	const double cpu_taken = cpu_us() - cpu, taken = clock_us(CLOCK_MONOTONIC) - wall;
	t->cpu_us += cpu_taken;
	if (taken > t->longest_us)
		t->longest_us = taken;
	if (cpu_taken > t->longest_cpu_us)
		t->longest_cpu_us = cpu_taken;
}

static int compare(const void *a, const void *b)
{
	const double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double median(double *values)
{
	qsort(values, SWAPS, sizeof(*values), compare);
	return values[SWAPS / 2];
}

/* From the writing of the version to the end of its being taken in; the other worker, too. */
static struct turns swap(uint32_t seat, const struct shm_tier *version)
{
	const struct tier *before = rig.match[0]->patterns.seat[seat];
	struct turns t = {0};

	const bool written = shm_tier_write(rig.region, seat, version->texts, version->database);
	ASSERT(written);
	while (rig.match[0]->patterns.seat[seat] == before || match_tier_moves(rig.match[0]))
		turn(&t, true);
	while (letters_take_in(&rig.letters[1], rig.match[1]) || match_tier_moves(rig.match[1]) ||
		letter_full(&rig.letters[1].in[seat]))
		;
	return t;
}

static struct turns noise(uint32_t count)
{
	struct turns t = {0};

	while (t.count < count)
		turn(&t, false);
	return t;
}

/* Of all swaps, or of the noise between them. */
struct series {
	double longest_us[SWAPS], longest_cpu_us[SWAPS], cpu_us;
};

static void note(struct series *s, uint32_t at, const struct turns *t)
{
	s->longest_us[at] = t->longest_us;
	s->longest_cpu_us[at] = t->longest_cpu_us;
	s->cpu_us += t->cpu_us / t->count / SWAPS;
}

static void report(const char *what, struct series *s)
{
	const double wall = median(s->longest_us), cpu = median(s->longest_cpu_us);

	printf("%s: longest turn, median of %d: %.1f us by the wall, %.1f us processor time; "
	       "worst %.1f and %.1f us; mean turn %.2f us\n",
		what, SWAPS, wall, cpu, s->longest_us[SWAPS - 1], s->longest_cpu_us[SWAPS - 1],
		s->cpu_us);
}

static void swaps(void)
{
	static struct series taking, idle;
	const uint32_t seat = largest_seat();
	const uint64_t number = shm_tiers_page(rig.region)->number[seat];
	const size_t size = shm_tier_size(rig.region, seat, number);
	uint8_t *copy = malloc(size);
	struct shm_tier version;

	ASSERT(copy != NULL);
	const enum err e = shm_tier_read(rig.region, seat, number, copy, size, &version);
	ASSERT(e == ERR_NONE);
	const bool started = service_start(rig.service);
	ASSERT(started);
	for (uint32_t i = 0; i < SWAPS; i++) {
		const struct turns t = swap(seat, &version);
		const struct turns n = noise(t.count);
		note(&taking, i, &t);
		note(&idle, i, &n);
	}
	service_stop(rig.service);
	report("a tier is exchanged", &taking);
	report("the same loop without", &idle);
	free(copy);
}

int main(int argc, char **argv)
{
	const unsigned long n = argc > 1 ? strtoul(argv[1], NULL, 10) : 4000;

	if (n < 1 || n > 8192) {
		fputs("usage: patterns_bench [1..8192]\n", stderr);
		return 2;
	}
	cost_of_shapes();
	cost_of_interpreting();
	cost_of_scans((uint32_t)n);
	swaps();
	rig_stop(&rig);
	return 0;
}
