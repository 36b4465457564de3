/* store_bench.c - how many batches a second does a disk keep? Not a test: run it by hand.
 *
 *	store_bench DIRECTORY [SECONDS]    default: 2 seconds a row
 *
 * Beside each other: the raw fdatasync of the directory's file system, then SYNCED batches
 * with 1, 32, 256 and 4096 outstanding, JOURNAL and MEMORY ones. A batch is what a QoS 1 message
 * for one queue writes: a body of 200 bytes, a queue entry of 32, a mark of 16. */
#include "dataplane/base/assert.h"
#include "storage/rocks/rocks.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum { BODY = 200, ENTRY = 32, MARK = 16, KEY = 17, OUT_MAX = 256, QUEUE_MAX = 4096 };

static double clock_s(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static double now_s(void)
{
	return clock_s(CLOCK_MONOTONIC);
}

static void raw_sync(const char *directory, double seconds)
{
	char path[4096];
	uint8_t bytes[BODY + ENTRY + MARK] = {0};
	uint64_t count = 0;

	snprintf(path, sizeof(path), "%s/raw", directory);
	const int fd = open(path, O_CREAT | O_TRUNC | O_WRONLY, 0600);
	ASSERT(fd >= 0);
	const double began = now_s();
	while (now_s() < began + seconds) {
		ASSERT(write(fd, bytes, sizeof(bytes)) == (ssize_t)sizeof(bytes));
		ASSERT(fdatasync(fd) == 0);
		count++;
	}
	printf("%-24s %9.0f /s\n", "write and fdatasync", (double)count / (now_s() - began));
	close(fd);
	unlink(path);
}

static void key_of(uint8_t to[KEY], char kind, uint64_t n)
{
	memset(to, 0, KEY);
	to[0] = (uint8_t)kind;
	for (int i = 0; i < 8; i++)
		to[KEY - 1 - i] = (uint8_t)(n >> (8 * i));
}

static void submit(struct storage *s, uint64_t n, enum storage_sync sync)
{
	static uint8_t value[BODY];
	uint8_t body[KEY], entry[KEY], mark[KEY];

	key_of(body, 'b', n);
	key_of(entry, 'q', n);
	key_of(mark, 'm', 0);
	memcpy(value, &n, sizeof(n));
	const struct storage_op ops[] = {{STORAGE_PUT, {body, KEY}, {value, BODY}},
		{STORAGE_PUT, {entry, KEY}, {value, ENTRY}},
		{STORAGE_PUT, {mark, KEY}, {value, MARK}}};
	const struct storage_batch b = {ops, ARRAY_SIZE(ops), sync, n};
	ASSERT(s->ops->submit(s, &b) == ERR_NONE);
}

static uint32_t take(struct storage *s)
{
	struct storage_completion out[OUT_MAX];
	const uint32_t n = s->ops->poll(s, out, OUT_MAX);

	for (uint32_t i = 0; i < n; i++)
		ASSERT(out[i].err == ERR_NONE);
	if (n == 0) {
		struct pollfd p = {.fd = s->ops->event_fd(s), .events = POLLIN};
		(void)poll(&p, 1, -1);
	}
	return n;
}

static void bench(struct storage *s, enum storage_sync sync, uint32_t outstanding, double seconds)
{
	static const char *const names[] = {"memory", "journal", "synced"};
	static uint64_t n;
	struct storage_facts before, after;
	uint64_t done = 0, sent = 0;
	char row[32];

	s->ops->facts(s, &before);
	const double cpu = clock_s(CLOCK_PROCESS_CPUTIME_ID), began = now_s();
	while (now_s() < began + seconds || done < sent) {
		const bool more = now_s() < began + seconds;
		for (; more && sent - done < outstanding; sent++)
			submit(s, n++, sync);
		done += take(s);
	}
	const double took = now_s() - began;
	s->ops->facts(s, &after);
	const uint64_t syncs = after.syncs - before.syncs;
	snprintf(row, sizeof(row), "%s, %u outstanding", names[sync], outstanding);
	printf("%-24s %9.0f /s  %7.0f syncs/s  %7.1f batches a sync  longest %5.1f ms  %5.1f us of "
	       "CPU a batch\n",
		row, (double)done / took, (double)syncs / took,
		syncs > 0 ? (double)done / (double)syncs : 0.0, (double)after.sync_us_max / 1000,
		(clock_s(CLOCK_PROCESS_CPUTIME_ID) - cpu) / (double)done * 1e6);
}

int main(int argc, char **argv)
{
	static const uint32_t outstanding[] = {1, 32, 256, QUEUE_MAX};
	const double seconds = argc > 2 ? strtod(argv[2], NULL) : 2;
	char why[STORAGE_WHY_MAX], path[4000];
	struct storage *s;

	if (argc < 2) {
		fprintf(stderr, "usage: store_bench DIRECTORY [SECONDS]\n");
		return 2;
	}
	raw_sync(argv[1], seconds);
	snprintf(path, sizeof(path), "%s/store", argv[1]);
	const struct rocks_conf conf = storage_rocks_conf(path);
	if (storage_rocks_open(&conf, &s, why) != ERR_NONE) {
		fprintf(stderr, "%s\n", why);
		return 1;
	}
	for (size_t i = 0; i < ARRAY_SIZE(outstanding); i++)
		bench(s, STORAGE_SYNCED, outstanding[i], seconds);
	bench(s, STORAGE_JOURNAL, QUEUE_MAX, seconds);
	bench(s, STORAGE_MEMORY, QUEUE_MAX, seconds);
	s->ops->close(&s);
	return 0;
}
