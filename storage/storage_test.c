/* storage_test.c - the contract of storage.h, held against every implementation. */
#include "dataplane/base/rng.h"
#include "storage/memory/memory.h"
#include "storage/rocks/rocks.h"
#include "storage/storage.h"
#include "tests/unit/unit.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { OUT_MAX = 64, DEADLINE_MS = 20000, KEYS = 64, STEPS = 4000, INTERVAL_US = 2000 };

/* A store that can be closed and opened again, of either kind. */
struct rig {
	struct storage *s;
	struct memory_disk *disk; /* NULL: on a disk */
	uint64_t now_us;
	char directory[64];
};

static void rig_open(struct rig *r)
{
	char why[STORAGE_WHY_MAX] = "";

	if (r->disk != NULL) {
		r->s = storage_memory_open(r->disk, r->now_us);
	} else {
		struct rocks_conf conf = storage_rocks_conf(r->directory);
		conf.sync_interval_us = INTERVAL_US;
		conf.wal_bytes_max = 1 << 20;
		if (storage_rocks_open(&conf, &r->s, why) != ERR_NONE)
			printf("# %s\n", why);
	}
	CU_ASSERT_FATAL(r->s != NULL);
}

static struct rig rig_memory(void)
{
	const struct memory_disk_conf conf = {.sync_us = 10, .sync_interval_us = INTERVAL_US};
	struct rig r = {.disk = memory_disk_create(&conf)};

	CU_ASSERT_FATAL(r.disk != NULL);
	rig_open(&r);
	return r;
}

static struct rig rig_rocks(void)
{
	struct rig r = {.directory = "/tmp/signalbox-storage-XXXXXX"};

	CU_ASSERT_FATAL(mkdtemp(r.directory) != NULL);
	rig_open(&r);
	return r;
}

static void rig_fini(struct rig *r)
{
	char command[128];

	r->s->ops->close(&r->s);
	CU_ASSERT(r->s == NULL);
	if (r->disk != NULL) {
		memory_disk_destroy(&r->disk);
		return;
	}
	snprintf(command, sizeof(command), "rm -rf %s", r->directory);
	CU_ASSERT(system(command) == 0);
}

static void reopen(struct rig *r)
{
	r->s->ops->close(&r->s);
	rig_open(r);
}

/* Until poll has something, or a moment has passed. */
static void wait_some(struct rig *r)
{
	if (r->disk != NULL) {
		const uint64_t next_us = storage_memory_next_us(r->s);
		CU_ASSERT_FATAL(next_us != UINT64_MAX);
		r->now_us = next_us > r->now_us ? next_us : r->now_us;
		storage_memory_now(r->s, r->now_us);
		return;
	}
	struct pollfd p = {.fd = r->s->ops->event_fd(r->s), .events = POLLIN};
	CU_ASSERT_FATAL(poll(&p, 1, DEADLINE_MS) == 1);
}

/* Takes `count` completions: tokens first, first + 1 ..., no errors. */
static void complete(struct rig *r, uint64_t first, uint64_t count)
{
	struct storage_completion out[OUT_MAX];

	while (count > 0) {
		const uint32_t n = r->s->ops->poll(r->s, out, OUT_MAX);
		for (uint32_t i = 0; i < n; i++) {
			CU_ASSERT_FATAL(out[i].token == first++);
			CU_ASSERT_FATAL(out[i].err == ERR_NONE);
		}
		CU_ASSERT_FATAL(n <= count);
		count -= n;
		if (count > 0 && n == 0)
			wait_some(r);
	}
	CU_ASSERT(r->s->ops->poll(r->s, out, OUT_MAX) == 0);
}

static void submit(struct rig *r, const struct storage_op *ops, size_t count,
	enum storage_sync sync, uint64_t token)
{
	const struct storage_batch b = {ops, count, sync, token};

	CU_ASSERT_FATAL(r->s->ops->submit(r->s, &b) == ERR_NONE);
}

static void put(struct rig *r, const char *key, const char *value)
{
	const struct storage_op op = {STORAGE_PUT, span_str(key), span_str(value)};

	submit(r, &op, 1, STORAGE_SYNCED, 0);
}

static bool holds(struct rig *r, const char *key, const char *value)
{
	char text[64];
	size_t size = 0;

	if (r->s->ops->get(r->s, span_str(key), text, sizeof(text), &size) != STORAGE_FOUND)
		return value == NULL;
	return value != NULL && span_equal(span_of(text, size), span_str(value));
}

static bool join(void *owner, struct span key, struct span value)
{
	char *text = (char *)owner;
	const size_t used = strlen(text);

	snprintf(text + used, 256 - used, "%.*s=%.*s ", (int)key.size, (const char *)key.at,
		(int)value.size, (const char *)value.at);
	return key.at[0] != '!';
}

static bool scans(struct rig *r, const char *from, const char *to, const char *expected)
{
	char text[256] = "";
	const enum err err = r->s->ops->scan(r->s, span_str(from), span_str(to), join, text);

	if (strcmp(text, expected) != 0)
		printf("# scan: %s\n", text);
	return err == ERR_NONE && strcmp(text, expected) == 0;
}

/* The contract */

static void gets_what_was_put(struct rig *r)
{
	char text[4] = "....";
	size_t size = 0;

	CU_ASSERT(holds(r, "k", NULL));
	put(r, "k", "");
	CU_ASSERT(holds(r, "k", ""));
	put(r, "k", "value");
	CU_ASSERT(holds(r, "k", "value"));
	CU_ASSERT(holds(r, "", NULL) && holds(r, "k\x01", NULL));
	CU_ASSERT(r->s->ops->get(r->s, span_str("k"), text, 2, &size) == STORAGE_FOUND);
	CU_ASSERT(size == 5 && memcmp(text, "va..", 4) == 0);
	CU_ASSERT(r->s->ops->get(r->s, span_str("k"), NULL, 0, &size) == STORAGE_FOUND);
}

static void applies_a_batch_in_its_order(struct rig *r)
{
	const struct storage_op ops[] = {
		{STORAGE_PUT, span_str("a"), span_str("1")},
		{STORAGE_PUT, span_str("a"), span_str("2")},
		{STORAGE_PUT, span_str("b"), span_str("1")},
		{STORAGE_DELETE, span_str("b"), {0}},
		{STORAGE_PUT, span_str("c1"), span_str("1")},
		{STORAGE_DELETE_RANGE, span_str("c"), span_str("d")},
		{STORAGE_PUT, span_str("c2"), span_str("2")},
		{STORAGE_DELETE, span_str("none"), {0}},
	};

	submit(r, ops, ARRAY_SIZE(ops), STORAGE_JOURNAL, 7);
	CU_ASSERT(scans(r, "", "z", "a=2 c2=2 "));
	complete(r, 7, 1);
	submit(r, NULL, 0, STORAGE_SYNCED, 8);
	complete(r, 8, 1);
	CU_ASSERT(scans(r, "", "z", "a=2 c2=2 "));
}

static void scans_in_order_and_within_bounds(struct rig *r)
{
	const struct storage_op ops[] = {
		{STORAGE_PUT, span_str("\x80"), span_str("high")},
		{STORAGE_PUT, span_str("ab"), span_str("2")},
		{STORAGE_PUT, span_str("b"), span_str("3")},
		{STORAGE_PUT, span_str("a"), span_str("1")},
		{STORAGE_PUT, span_str("!"), span_str("0")},
	};

	submit(r, ops, ARRAY_SIZE(ops), STORAGE_MEMORY, 0);
	CU_ASSERT(scans(r, "a", "\xff", "a=1 ab=2 b=3 \x80=high "));
	CU_ASSERT(scans(r, "a", "b", "a=1 ab=2 "));
	CU_ASSERT(scans(r, "", "z", "!=0 ")); /* `seen` said that it is enough */
	CU_ASSERT(scans(r, "b", "a", "") && scans(r, "a", "a", "") && scans(r, "c", "z", ""));
	complete(r, 0, 1);
}

static void deletes_a_range_without_its_end(struct rig *r)
{
	const struct storage_op puts[] = {
		{STORAGE_PUT, span_str("a"), span_str("1")},
		{STORAGE_PUT, span_str("b"), span_str("2")},
		{STORAGE_PUT, span_str("c"), span_str("3")},
	};
	const struct storage_op cut = {STORAGE_DELETE_RANGE, span_str("a"), span_str("c")};
	const struct storage_op inverted = {STORAGE_DELETE_RANGE, span_str("z"), span_str("a")};

	submit(r, puts, ARRAY_SIZE(puts), STORAGE_SYNCED, 0);
	submit(r, &inverted, 1, STORAGE_SYNCED, 1);
	CU_ASSERT(scans(r, "", "z", "a=1 b=2 c=3 "));
	submit(r, &cut, 1, STORAGE_SYNCED, 2);
	CU_ASSERT(scans(r, "", "z", "c=3 "));
	complete(r, 0, 3);
	reopen(r);
	CU_ASSERT(scans(r, "", "z", "c=3 "));
}

static void completes_in_order(struct rig *r)
{
	struct rng rng = rng_from(unit_seed());
	struct storage_facts facts;
	uint64_t token = 100;

	for (int i = 0; i < 1000; i++) {
		char key[16];
		snprintf(key, sizeof(key), "%u", rng_below(&rng, 100));
		const struct storage_op op = {STORAGE_PUT, span_str(key), span_str(key)};
		submit(r, &op, 1, (enum storage_sync)rng_below(&rng, 3), token++);
		memset(key, 0xff, sizeof(key)); /* submit has its own copy */
	}
	submit(r, NULL, 0, STORAGE_SYNCED, token++);
	complete(r, 100, token - 100);
	CU_ASSERT(holds(r, "\xff\xff", NULL));
	r->s->ops->facts(r->s, &facts);
	CU_ASSERT(facts.batches == 1001 && facts.unsynced == 0 && facts.err == ERR_NONE);
	CU_ASSERT(facts.syncs >= 1 && facts.syncs <= 1001);
	CU_ASSERT(facts.sync_us_max >= facts.sync_us_last && facts.disk_bytes > 0);
}

static void syncs_a_journal_by_and_by(struct rig *r)
{
	const struct storage_op op = {STORAGE_PUT, span_str("k"), span_str("v")};
	struct storage_facts facts;
	int rounds = 0;

	submit(r, &op, 1, STORAGE_JOURNAL, 1);
	complete(r, 1, 1);
	r->s->ops->facts(r->s, &facts);
	while (facts.unsynced > 0 && rounds++ < DEADLINE_MS) {
		if (r->disk != NULL)
			wait_some(r);
		else
			(void)poll(NULL, 0, 1);
		r->s->ops->facts(r->s, &facts);
	}
	CU_ASSERT(facts.unsynced == 0 && facts.syncs == 1);
}

static void is_still_there_when_opened_again(struct rig *r)
{
	const enum storage_sync classes[] = {STORAGE_JOURNAL, STORAGE_SYNCED};

	for (size_t i = 0; i < ARRAY_SIZE(classes); i++) {
		char key[2] = {(char)('a' + i), 0};
		const struct storage_op op = {STORAGE_PUT, span_str(key), span_str(key)};
		submit(r, &op, 1, classes[i], i); /* not waited for */
	}
	reopen(r);
	CU_ASSERT(scans(r, "", "z", "a=a b=b "));
	CU_ASSERT(r->s->ops->poll(r->s, &(struct storage_completion){0}, 1) == 0);
	reopen(r);
	CU_ASSERT(scans(r, "", "z", "a=a b=b "));
}

/* Random batches beside a table of all keys */

struct reference {
	uint32_t size[KEYS]; /* 0: absent; else the value is that many bytes of the key */
	int at;
	bool wrong;
};

static bool check_one(void *owner, struct span key, struct span value)
{
	struct reference *x = (struct reference *)owner;

	while (x->at < KEYS && x->size[x->at] == 0)
		x->at++;
	x->wrong |= x->at == KEYS || key.size != 1;
	if (x->wrong)
		return false;
	x->wrong |= key.at[0] != x->at * 4 || value.size != x->size[x->at];
	for (size_t i = 0; i < value.size; i++)
		x->wrong |= value.at[i] != key.at[0];
	x->at++;
	return true;
}

static bool same(struct rig *r, struct reference *x)
{
	x->at = 0;
	x->wrong = false;
	const enum err err = r->s->ops->scan(r->s, span_of("", 0), span_str("\xff"), check_one, x);
	while (x->at < KEYS && x->size[x->at] == 0)
		x->at++;
	return err == ERR_NONE && !x->wrong && x->at == KEYS;
}

static uint8_t values[KEYS][1000], keys[KEYS + 1];

static struct storage_op random_op(struct reference *x, struct rng *rng)
{
	const uint32_t k = rng_below(rng, KEYS), size = 1 + rng_below(rng, sizeof(values[0]) - 1);
	const uint32_t end = k + rng_below(rng, KEYS + 1 - k) / 4;

	switch (rng_below(rng, 10)) {
	case 0:
		for (uint32_t i = k; i < end; i++)
			x->size[i] = 0;
		return (struct storage_op){STORAGE_DELETE_RANGE, {&keys[k], 1}, {&keys[end], 1}};
	case 1:
		x->size[k] = 0;
		return (struct storage_op){STORAGE_DELETE, {&keys[k], 1}, {0}};
	default:
		x->size[k] = size;
		memset(values[k], keys[k], sizeof(values[k]));
		return (struct storage_op){STORAGE_PUT, {&keys[k], 1}, {values[k], size}};
	}
}

static void does_what_a_table_does(struct rig *r)
{
	struct rng rng = rng_from(unit_seed());
	struct reference x = {0};
	uint64_t token = 0, first = 0;

	for (int k = 0; k <= KEYS; k++)
		keys[k] = (uint8_t)(k < KEYS ? 4 * k : 0xff);
	for (int step = 0; step < STEPS; step++) {
		struct storage_op ops[8];
		const uint32_t count = 1 + rng_below(&rng, ARRAY_SIZE(ops));
		for (uint32_t i = 0; i < count; i++)
			ops[i] = random_op(&x, &rng);
		submit(r, ops, count, (enum storage_sync)rng_below(&rng, 3), token++);
		if (step % 50 == 0)
			CU_ASSERT_FATAL(same(r, &x));
		if (step % 1000 != 999)
			continue;
		submit(r, NULL, 0, STORAGE_SYNCED, token++);
		complete(r, first, token - first);
		first = token;
		reopen(r);
		CU_ASSERT_FATAL(same(r, &x));
	}
}

#define BOTH(contract)                                                                             \
	static void memory_##contract(void)                                                        \
	{                                                                                          \
		struct rig r = rig_memory();                                                       \
		contract(&r);                                                                      \
		rig_fini(&r);                                                                      \
	}                                                                                          \
	static void rocks_##contract(void)                                                         \
	{                                                                                          \
		struct rig r = rig_rocks();                                                        \
		contract(&r);                                                                      \
		rig_fini(&r);                                                                      \
	}

BOTH(gets_what_was_put)
BOTH(applies_a_batch_in_its_order)
BOTH(scans_in_order_and_within_bounds)
BOTH(deletes_a_range_without_its_end)
BOTH(completes_in_order)
BOTH(syncs_a_journal_by_and_by)
BOTH(is_still_there_when_opened_again)
BOTH(does_what_a_table_does)

#define ROWS(contract)                                                                             \
	{"memory_" #contract, memory_##contract},                                                  \
	{                                                                                          \
		"rocks_" #contract, rocks_##contract                                               \
	}

static const struct unit_test tests[] = {
	ROWS(gets_what_was_put),
	ROWS(applies_a_batch_in_its_order),
	ROWS(scans_in_order_and_within_bounds),
	ROWS(deletes_a_range_without_its_end),
	ROWS(completes_in_order),
	ROWS(syncs_a_journal_by_and_by),
	ROWS(is_still_there_when_opened_again),
	ROWS(does_what_a_table_does),
};

int main(int argc, char **argv)
{
	return UNIT_MAIN("storage", tests, argc, argv);
}
