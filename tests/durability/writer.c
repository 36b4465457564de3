/* writer.c - writes batches until it is killed, and keeps a ledger of what was completed.
 *
 *	writer DIRECTORY LEDGER SEED [BATCHES [nosync]]
 *
 * Goes on where the store left off. The ledger gets the number of the last batch, as 8 bytes,
 * whenever the store says that it and all before it are on the disk. BATCHES 0: without an end.
 *With an end it closes and exits with 0. An error of the store: 3, when all that waited was
 * completed with it, in order; else 4. */
#include "dataplane/base/rng.h"
#include "storage/rocks/rocks.h"
#include "tests/durability/workload.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { OUTSTANDING_MAX = 100, OUT_MAX = 16, WAL_BYTES = 128 * 1024, DEADLINE_MS = 60000 };
enum { ENDED = 0, CANNOT_OPEN = 2, FAILED_WELL = 3, FAILED_BADLY = 4 };

struct writer {
	struct storage *s;
	int ledger;
	uint64_t submitted, completed; /* numbers of batches */
	enum err err;                  /* of the store */
	bool failing;                  /* a batch was completed with an error */
	bool bad;                      /* it broke its contract */
};

static void note(struct writer *w, uint64_t last)
{
	if (write(w->ledger, &last, sizeof(last)) != (ssize_t)sizeof(last))
		w->bad = true;
}

static void on_completion(struct writer *w, const struct storage_completion *c)
{
	w->bad |= c->token != w->completed++;
	w->bad |= w->failing && c->err == ERR_NONE;
	w->failing = c->err != ERR_NONE;
	if (w->failing)
		w->err = c->err;
	else if (workload_sync(c->token) == STORAGE_SYNCED)
		note(w, c->token);
}

static void complete(struct writer *w)
{
	struct storage_completion out[OUT_MAX];
	struct pollfd p = {.fd = w->s->ops->event_fd(w->s), .events = POLLIN};

	w->bad |= poll(&p, 1, DEADLINE_MS) != 1;
	const uint32_t n = w->s->ops->poll(w->s, out, OUT_MAX);
	for (uint32_t i = 0; i < n; i++)
		on_completion(w, &out[i]);
}

static bool going(const struct writer *w)
{
	return w->err == ERR_NONE && !w->bad;
}

static void run(struct writer *w, struct rng *rng, uint64_t batches)
{
	const uint64_t end = batches == 0 ? UINT64_MAX : w->submitted + batches;

	while (going(w) && w->submitted < end) {
		const uint64_t most = 1 + rng_below(rng, OUTSTANDING_MAX);
		for (uint64_t i = 0; i < most && going(w) && w->submitted < end; i++) {
			w->err = workload_submit(w->s, w->submitted);
			w->submitted += w->err == ERR_NONE;
		}
		while (going(w) && w->submitted > w->completed + rng_below(rng, OUTSTANDING_MAX))
			complete(w);
	}
	while (!w->bad && w->completed < w->submitted)
		complete(w);
}

static int finish(struct writer *w)
{
	struct storage_facts facts;

	w->s->ops->facts(w->s, &facts);
	w->bad |= facts.err != w->err;
	w->bad |= w->err != ERR_NONE && workload_submit(w->s, w->submitted) != w->err;
	w->s->ops->close(&w->s);
	if (w->bad)
		return FAILED_BADLY;
	return w->err == ERR_NONE ? ENDED : FAILED_WELL;
}

int main(int argc, char **argv)
{
	struct rocks_conf conf = storage_rocks_conf(argc > 1 ? argv[1] : "");
	struct writer w = {0};
	char why[STORAGE_WHY_MAX];

	if (argc < 4)
		return 1;
	struct rng rng = rng_from(strtoull(argv[3], NULL, 0));
	conf.wal_bytes_max = WAL_BYTES;
	conf.sync_interval_us = 3000;
	conf.no_sync = argc > 5;
	w.ledger = open(argv[2], O_WRONLY | O_CREAT | O_APPEND, 0600);
	if (storage_rocks_open(&conf, &w.s, why) != ERR_NONE) {
		printf("# writer: %s\n", why);
		return CANNOT_OPEN;
	}
	if (workload_check(w.s, &w.submitted, why) != WORKLOAD_WHOLE) {
		printf("# writer: %s\n", why);
		return FAILED_BADLY;
	}
	w.completed = w.submitted;
	/* What a store holds when it is opened is on the disk. */
	if (w.submitted > 0)
		note(&w, w.submitted - 1);
	run(&w, &rng, argc > 4 ? strtoull(argv[4], NULL, 0) : 0);
	/* Not exit(): what RocksDB's destructors meet after an error is not ours to see. */
	_exit(finish(&w));
}
