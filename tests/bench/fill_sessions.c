/* fill_sessions.c - writes a store of many sessions, as a box would have left it when
 * it was killed.
 *
 *	fill_sessions DIRECTORY SESSIONS JOURNAL_MIB
 *
 * Each session is durable, does not expire, is not connected, and has one
 * subscription; client ids are "many-N". Then bodies, until so much lies in the
 * journal: the process ends without closing, so that the next one replays them.
 * For tests/talk/restart.py, which measures how soon a control plane serves. */
#include "storage/rocks/rocks.h"
#include "storage/schema/schema.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { BATCH = 1000, BODY = 4096, OPS = 4 * BATCH, TEXT = 512 << 10 };

static struct storage *store;
static struct storage_op ops[OPS];
static size_t count;
static uint8_t text[TEXT];
static size_t used;

static struct span keep(const struct writer *w)
{
	used += writer_used(w);
	return writer_span(w);
}

static struct writer room(void)
{
	return writer_of(text + used, sizeof(text) - used);
}

static struct span put_key(const struct schema_key *k)
{
	struct writer w = room();

	schema_key_encode(&w, k);
	return keep(&w);
}

static void put(struct span key, const struct writer *value)
{
	ops[count++] = (struct storage_op){STORAGE_PUT, key, keep(value)};
}

static void flush(enum storage_sync sync)
{
	const struct storage_batch b = {.ops = ops, .count = count, .sync = sync};
	struct storage_completion done[16];
	struct pollfd synced = {.fd = store->ops->event_fd(store), .events = POLLIN};

	if (store->ops->submit(store, &b) != ERR_NONE)
		exit(EXIT_FAILURE);
	while (store->ops->poll(store, done, 16) == 0)
		poll(&synced, 1, -1);
	count = used = 0;
}

static void put_session(uint64_t id)
{
	char name[32];
	const int n = snprintf(name, sizeof(name), "many-%llu", (unsigned long long)id);
	const struct span client_id = span_of(name, (size_t)n);
	const struct schema_key by_name = {.kind = 'I', .text = client_id};
	const struct schema_key record = {.kind = 'S', .id = id};
	const struct schema_key filter = {.kind = 'F', .id = id, .text = client_id};
	const struct schema_session s = {.client_id = client_id,
		.expiry_s = UINT32_MAX,
		.disconnected_ms = 1700000000000,
		.epoch = 1,
		.entries = 1,
		.durable = true};
	const struct schema_options options = {.qos = 1};
	struct span key = put_key(&by_name);
	struct writer w = room();

	schema_encode_number(&w, key, id);
	put(key, &w);
	key = put_key(&record);
	w = room();
	schema_encode_session(&w, key, &s);
	put(key, &w);
	key = put_key(&filter);
	w = room();
	schema_encode_options(&w, key, &options);
	put(key, &w);
}

static void put_meta(uint64_t sessions, uint64_t bodies)
{
	const struct schema_key meta = {.kind = 'M'};
	const struct schema_meta m = {
		.next_session = sessions + 1, .next_body = bodies + 1, .sessions = sessions};
	const struct span key = put_key(&meta);
	struct writer w = room();

	schema_encode_meta(&w, key, &m);
	put(key, &w);
}

/* A body that no entry refers to: only its bytes in the journal matter here. */
static void put_body(uint64_t id)
{
	static uint8_t bytes[BODY];
	const struct schema_key body = {.kind = 'B', .id = id};
	const struct span key = put_key(&body);
	struct writer w = room();
	uint8_t head[SCHEMA_HEAD];

	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(id * 31 + i * 7);
	schema_seal(head, key, span_of(bytes, sizeof(bytes)));
	write_bytes(&w, span_of(head, sizeof(head)));
	write_bytes(&w, span_of(bytes, sizeof(bytes)));
	put(key, &w);
}

int main(int argc, char **argv)
{
	char why[STORAGE_WHY_MAX];

	if (argc != 4) {
		fprintf(stderr, "usage: fill_sessions DIRECTORY SESSIONS JOURNAL_MIB\n");
		return 2;
	}
	const struct rocks_conf conf = storage_rocks_conf(argv[1]);
	const uint64_t sessions = strtoull(argv[2], NULL, 10);
	const uint64_t bodies = (strtoull(argv[3], NULL, 10) << 20) / BODY;
	if (storage_rocks_open(&conf, &store, why) != ERR_NONE) {
		fprintf(stderr, "fill_sessions: %s\n", why);
		return EXIT_FAILURE;
	}
	put_meta(sessions, bodies);
	for (uint64_t id = 1; id <= sessions; id++) {
		put_session(id);
		if (count >= OPS / 2)
			flush(STORAGE_JOURNAL);
	}
	flush(STORAGE_SYNCED);
	store->ops->close(&store);
	if (storage_rocks_open(&conf, &store, why) != ERR_NONE)
		return EXIT_FAILURE;
	for (uint64_t id = 1; id <= bodies; id++) {
		put_body(id);
		if (count >= 100)
			flush(STORAGE_JOURNAL);
	}
	flush(STORAGE_SYNCED);
	_exit(EXIT_SUCCESS); /* as killed: the journal stays */
}
