/* registry_test.c - who is granted, who waits, who is revoked: a table of stories, and a random
 * walk against the one rule that matters: at most one live connection per client id. */
#include "controlplane/registry/prepare.h"
#include "controlplane/registry/registry.h"

#include "dataplane/base/rng.h"
#include "tests/unit/unit.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

enum { WORKERS = 3, SESSIONS = 4, TIMEOUT_US = 100, BASE = 1000 };

static struct counters counters;

static struct registry *fresh(uint32_t sessions_max, uint64_t epoch_base)
{
	const struct registry_conf conf = {.workers = WORKERS,
		.sessions_max = sessions_max,
		.takeover_timeout_us = TIMEOUT_US,
		.epoch_base = epoch_base,
		.key = {1, 2},
		.counters = &counters};

	memset(&counters, 0, sizeof(counters));
	return registry_create(&conf);
}

/* What sessions/ would do: everybody is ready, at once or (lazy) some time, in any order; and
 * everything of a client is kept. */
enum { ASKED_MAX = 256 };
static struct rng *lazy;
static struct sessions_ready asked[ASKED_MAX];
static uint32_t asked_count;

static void pump(struct registry *r)
{
	struct sessions_connect c;
	uint64_t session, epoch;

	while (registry_next_gone(r, &session, &epoch))
		CU_ASSERT(session == epoch + 1);
	while (asked_count < ASKED_MAX && registry_next_connect(r, &c)) {
		registry_asked(r);
		asked[asked_count++] =
			(struct sessions_ready){.token = c.token, .session = c.epoch + 1};
	}
	for (uint32_t i = 0; i < asked_count; i++) {
		if (lazy != NULL && rng_chance(lazy, 500000))
			continue;
		registry_ready(r, &asked[i]);
		asked[i--] = asked[--asked_count];
	}
}

static bool next_effect(struct registry *r, uint32_t worker, struct registry_effect *e)
{
	pump(r);
	return registry_next(r, worker, e);
}

static struct shm_connection connection(uint32_t index)
{
	return (struct shm_connection){index, 7};
}

/* A step of a story: "+0.1=a" CONNECT of connection 1 on worker 0 as client a; "?..." the same
 * AGAIN; "!0.1=a@900" AGAIN and LIVE with epoch 900; "-0.1" CLOSED; "x0" the worker is gone;
 * "t50" time is 50. Leaves in `out` what it makes the registry say: "G0.1e1001" granted,
 * "N0.1v4" refused with verdict 4, "R0.1e1001" revoked; an assigned id follows as "=sb-". */
static void tell(struct registry *r, char *out, size_t out_size)
{
	struct registry_effect e;
	size_t used = 0;

	out[0] = '\0';
	for (uint32_t w = 0; w < WORKERS; w++) {
		while (next_effect(r, w, &e)) {
			const char *space = used == 0 ? "" : " ";
			if (e.kind == REGISTRY_REVOKE)
				used += (size_t)snprintf(out + used, out_size - used, "%sR%u.%ue%u",
					space, w, e.revoke.connection.index,
					(unsigned)e.revoke.epoch);
			else if (e.grant.verdict == SHM_GRANTED)
				used += (size_t)snprintf(out + used, out_size - used,
					"%sG%u.%ue%u%s%.3s", space, w, e.grant.connection.index,
					(unsigned)e.grant.epoch,
					e.grant.assigned_size > 0 ? "=" : "",
					(const char *)e.grant.assigned);
			else
				used += (size_t)snprintf(out + used, out_size - used, "%sN%u.%uv%u",
					space, w, e.grant.connection.index, e.grant.verdict);
			CU_ASSERT(!registry_due(r, w) || used > 0);
		}
	}
}

static void act(struct registry *r, const char *step, uint64_t *now)
{
	unsigned worker = 0, index = 0;
	char id[16] = "";
	unsigned long long epoch = 0;

	if (step[0] == 't') {
		*now = strtoull(step + 1, NULL, 10);
		registry_poll(r, *now);
	} else if (step[0] == 'x') {
		registry_worker_gone(r, (uint32_t)(step[1] - '0'));
	} else if (step[0] == '-') {
		CU_ASSERT_FATAL(sscanf(step + 1, "%u.%u", &worker, &index) == 2);
		registry_closed(r, worker, connection(index));
	} else {
		const char *at = strchr(step, '@'), *equals = strchr(step, '=');
		CU_ASSERT_FATAL(sscanf(step + 1, "%u.%u=", &worker, &index) == 2);
		snprintf(id, sizeof(id), "%.*s", (int)(at == NULL ? 15 : at - equals - 1),
			equals + 1);
		epoch = at == NULL ? 0 : strtoull(at + 1, NULL, 10);
		struct registry_connect c = {.worker = worker,
			.connection = connection(index),
			.client_id = span_str(id),
			.epoch = epoch};
		c.flags = step[0] == '!'   ? SHM_CONNECT_AGAIN | SHM_CONNECT_LIVE
			  : step[0] == '?' ? SHM_CONNECT_AGAIN
					   : 0;
		CU_ASSERT(registry_connect(r, &c, *now));
	}
	pump(r);
	registry_check(r);
}

enum { STEPS = 12 };

static const struct story {
	const char *name;
	const char *steps[STEPS][2]; /* what happens, what is said */
} stories[] = {
	{"one client comes and goes",
		{{"+0.1=a", "G0.1e1001"}, {"-0.1", ""}, {"+0.2=a", "G0.2e1002"}}},
	{"two clients do not meet", {{"+0.1=a", "G0.1e1001"}, {"+0.2=b", "G0.2e1002"}}},
	{"ids differ by case", {{"+0.1=a", "G0.1e1001"}, {"+0.2=A", "G0.2e1002"}}},
	{"the second waits for the first's end",
		{{"+0.1=a", "G0.1e1001"}, {"+1.5=a", "R0.1e1001"}, {"-0.1", "G1.5e1002"}}},
	{"the same index on another worker is another connection",
		{{"+0.1=a", "G0.1e1001"}, {"+1.1=b", "G1.1e1002"}, {"-0.1", ""},
			{"+2.1=b", "R1.1e1002"}}},
	{"the first is too slow",
		{{"+0.1=a", "G0.1e1001"}, {"+1.5=a", "R0.1e1001"}, {"t99", ""},
			{"t100", "R0.1e1001 G1.5e1002"}, {"-0.1", ""}, {"+2.1=a", "R1.5e1002"}}},
	{"a third makes the second pointless",
		{{"+0.1=a", "G0.1e1001"}, {"+0.2=a", "R0.1e1001"}, {"+0.3=a", "N0.2v4"},
			{"-0.1", "G0.3e1002"}, {"-0.2", ""}, {"-0.3", ""}}},
	{"the third waits its own time",
		{{"+0.1=a", "G0.1e1001"}, {"+0.2=a", "R0.1e1001"}, {"t60", ""},
			{"+0.3=a", "N0.2v4"}, {"t100", ""}, {"t160", "R0.1e1001 G0.3e1002"}}},
	{"who waits may leave", {{"+0.1=a", "G0.1e1001"}, {"+0.2=a", "R0.1e1001"}, {"-0.2", ""},
					{"-0.1", ""}, {"+0.3=a", "G0.3e1002"}}},
	{"revoked once, however many come",
		{{"+0.1=a", "G0.1e1001"}, {"+0.2=a", "R0.1e1001"}, {"-0.2", ""}, {"+0.3=a", ""},
			{"-0.1", "G0.3e1002"}}},
	{"asked twice, answered the same",
		{{"+0.1=a", "G0.1e1001"}, {"?0.1=a", "G0.1e1001"}, {"+0.1=a", "G0.1e1001"}}},
	{"asked again while it waits", {{"+0.1=a", "G0.1e1001"}, {"+0.2=a", "R0.1e1001"},
					       {"?0.2=a", ""}, {"-0.1", "G0.2e1002"}}},
	{"asked again while revoked", {{"+0.1=a", "G0.1e1001"}, {"+0.2=a", "R0.1e1001"},
					      {"?0.1=a", "G0.1e1001 R0.1e1001"}}},
	{"asked again with another id is nonsense", {{"+0.1=a", "G0.1e1001"}, {"?0.1=b", ""}}},
	{"an empty id is assigned one", {{"+0.1=", "G0.1e1001=sb-"}, {"+0.2=", "G0.2e1002=sb-"},
						{"?0.1=", "G0.1e1001=sb-"}}},
	{"beyond the limit: busy",
		{{"+0.1=a", "G0.1e1001"}, {"+0.2=b", "G0.2e1002"}, {"+0.3=c", "G0.3e1003"},
			{"+0.4=d", "G0.4e1004"}, {"+0.5=e", "N0.5v4"}, {"+1.6=a", "R0.1e1001"},
			{"-0.4", ""}, {"+0.5=e", "G0.5e1005"}}},
	{"a new generation of a worker",
		{{"+0.1=a", "G0.1e1001"}, {"+1.1=b", "G1.1e1002"}, {"+1.2=a", "R0.1e1001"},
			{"x0", "G1.2e1003"}, {"+0.1=c", "G0.1e1004"}, {"-0.9", ""}}},
	{"those who wait die with their worker, too",
		{{"+0.1=a", "G0.1e1001"}, {"+0.2=a", "R0.1e1001"}, {"x0", ""},
			{"+1.1=a", "G1.1e1002"}}},
	{"re-registered after our restart", {{"!0.1=a@900", ""}, {"?0.1=a", "G0.1e900"},
						    {"+1.1=a", "R0.1e900"}, {"-0.1", "G1.1e1001"}}},
	{"re-registered twice",
		{{"!0.1=a@900", ""}, {"!0.1=a@900", ""}, {"-0.1", ""}, {"+0.2=a", "G0.2e1001"}}},
	{"re-registered after somebody newer came",
		{{"+1.1=a", "G1.1e1001"}, {"!0.1=a@900", "R0.1e900"}, {"-0.1", ""}, {"-1.1", ""}}},
	{"two of the past: the newer stays",
		{{"!0.1=a@900", ""}, {"!1.1=a@901", "R0.1e900"}, {"-0.1", ""},
			{"!2.1=a@899", "R2.1e899"}, {"+0.2=a", "R1.1e901"}}},
	{"two of the past while one waits",
		{{"!0.1=a@900", ""}, {"+2.2=a", "R0.1e900"}, {"!1.1=a@901", "R0.1e900 R1.1e901"},
			{"-0.1", ""}, {"-1.1", "G2.2e1001"}}},
	{"equal epochs: the first stays", {{"!0.1=a@900", ""}, {"!1.1=a@900", "R1.1e900"}}},
	{"an epoch that nobody granted", {{"!0.1=a@1001", "R0.1e1001"}, {"+0.2=a", "G0.2e1001"}}},
	{"no epoch", {{"!0.1=a@0", "R0.1e0"}}},
	{"live without a client id", {{"!0.1=@900", "R0.1e900"}}},
	{"live beyond the limit", {{"!0.1=a@1", ""}, {"!0.2=b@2", ""}, {"!0.3=c@3", ""},
					  {"!0.4=d@4", ""}, {"!0.5=e@5", "R0.5e5"}}},
};

static void stories_come_out_as_told(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(stories); i++) {
		struct registry *r = fresh(SESSIONS, BASE);
		uint64_t now = 0;
		for (int s = 0; s < STEPS && stories[i].steps[s][0] != NULL; s++) {
			char said[256];
			act(r, stories[i].steps[s][0], &now);
			tell(r, said, sizeof(said));
			if (strcmp(said, stories[i].steps[s][1]) != 0) {
				printf("# %s: after %s: \"%s\", not \"%s\"\n", stories[i].name,
					stories[i].steps[s][0], said, stories[i].steps[s][1]);
				CU_ASSERT(false);
			}
		}
		registry_check(r);
		registry_destroy(&r);
		CU_ASSERT(r == NULL);
	}
}

static void a_grant_that_was_not_taken_precedes_its_revoke(void)
{
	struct registry *r = fresh(SESSIONS, BASE);
	uint64_t now = 0;
	char said[256];

	act(r, "+0.1=a", &now);
	act(r, "+1.1=a", &now);
	tell(r, said, sizeof(said));
	CU_ASSERT_STRING_EQUAL(said, "G0.1e1001 R0.1e1001");
	act(r, "+0.2=b", &now);
	act(r, "-0.2", &now); /* left before it was told: nothing to tell */
	tell(r, said, sizeof(said));
	CU_ASSERT_STRING_EQUAL(said, "");
	registry_destroy(&r);
}

static void generations_of_a_connection_are_told_apart(void)
{
	struct registry *r = fresh(SESSIONS, BASE);
	struct registry_connect c = {.connection = {1, 7}, .client_id = span_str("a")};
	struct registry_effect e;

	CU_ASSERT(registry_connect(r, &c, 0) && next_effect(r, 0, &e));
	registry_closed(r, 0, (struct shm_connection){1, 6});
	registry_closed(r, 1, (struct shm_connection){1, 7});
	CU_ASSERT(registry_count(r) == 1);
	registry_closed(r, 0, (struct shm_connection){1, 7});
	CU_ASSERT(registry_count(r) == 0);
	registry_destroy(&r);
}

/* Enough of them for some to meet in one bucket of the table. */
static void workers_number_their_connections_alike(void)
{
	struct registry *r = fresh(SESSIONS, BASE);
	struct registry_effect e;

	for (uint32_t i = 0; i < 10000; i++) {
		const struct registry_connect c = {
			.connection = connection(i), .client_id = span_str("a")};
		CU_ASSERT(registry_connect(r, &c, 0) && next_effect(r, 0, &e));
		registry_closed(r, 1, connection(i));
		CU_ASSERT(registry_count(r) == 1);
		registry_closed(r, 0, connection(i));
		CU_ASSERT(registry_count(r) == 0);
	}
	registry_destroy(&r);
}

static void untaken_refusals_push_back(void)
{
	struct registry *r = fresh(1, BASE);
	struct registry_connect c = {.connection = connection(0), .client_id = span_str("a")};
	struct registry_effect e;
	uint32_t taken = 0;

	CU_ASSERT(registry_connect(r, &c, 0));
	c.client_id = span_str("b");
	for (uint32_t i = 1; i <= REGISTRY_REFUSALS_MAX; i++) {
		c.connection = connection(i);
		CU_ASSERT(registry_connect(r, &c, 0));
	}
	c.connection = connection(9999);
	CU_ASSERT(!registry_connect(r, &c, 0));
	registry_check(r);
	c.worker = 1; /* others are not held up */
	CU_ASSERT(registry_connect(r, &c, 0));
	while (next_effect(r, 0, &e))
		taken++;
	CU_ASSERT(taken == REGISTRY_REFUSALS_MAX + 1);
	c.worker = 0;
	CU_ASSERT(registry_connect(r, &c, 0));
	registry_check(r);
	registry_destroy(&r);
}

static void client_ids_are_bounded_in_all(void)
{
	struct registry *r = fresh(SESSIONS, BASE);
	static uint8_t id[REGISTRY_ID_BYTES_MEAN * SESSIONS];
	struct registry_connect c = {.connection = connection(1), .client_id = {id, sizeof(id)}};
	struct registry_effect e = {.kind = REGISTRY_GRANT};

	CU_ASSERT(registry_connect(r, &c, 0) && next_effect(r, 0, &e));
	CU_ASSERT(e.grant.verdict == SHM_GRANTED);
	c.connection = connection(2);
	c.client_id = span_str("a");
	CU_ASSERT(registry_connect(r, &c, 0) && next_effect(r, 0, &e));
	CU_ASSERT(e.grant.verdict == SHM_REFUSED_BUSY);
	registry_closed(r, 0, connection(1));
	CU_ASSERT(registry_connect(r, &c, 0) && next_effect(r, 0, &e));
	CU_ASSERT(e.grant.verdict == SHM_GRANTED);
	registry_check(r);
	registry_destroy(&r);
}

/* The CONNECT brings along what its id is made of: whoever is asked again makes the same. */
static void an_assigned_id_is_the_same_for_who_comes_after_us(void)
{
	struct registry_connect c = {.connection = connection(1), .epoch = 0x1234567890abcdef};
	struct registry_effect e = {.kind = REGISTRY_GRANT};

	for (int life = 0; life < 2; life++) {
		struct registry *r = fresh(200, BASE * (uint64_t)(life + 1));
		CU_ASSERT(registry_connect(r, &c, 0) && next_effect(r, 0, &e));
		CU_ASSERT(e.grant.verdict == SHM_GRANTED);
		CU_ASSERT(e.grant.assigned_size == REGISTRY_ID_BYTES);
		CU_ASSERT(memcmp(e.grant.assigned, "sb-1234567890abcdef", REGISTRY_ID_BYTES) == 0);
		/* Another connection cannot get it, too. */
		struct registry_connect other = c;
		other.connection = connection(2);
		other.flags = 0;
		CU_ASSERT(registry_connect(r, &other, 0) && next_effect(r, 0, &e));
		CU_ASSERT(e.kind == REGISTRY_GRANT && e.grant.verdict == SHM_REFUSED_BUSY);
		c.flags = SHM_CONNECT_AGAIN;
		registry_destroy(&r);
	}
}

static void assigned_ids_are_hexadecimal_and_differ(void)
{
	struct registry *r = fresh(200, BASE);
	char seen[100][REGISTRY_ID_BYTES];

	for (uint32_t i = 0; i < 100; i++) {
		struct registry_connect c = {.connection = connection(i)};
		struct registry_effect e = {.kind = REGISTRY_GRANT};
		CU_ASSERT(registry_connect(r, &c, 0) && next_effect(r, 0, &e));
		CU_ASSERT_FATAL(e.grant.assigned_size == REGISTRY_ID_BYTES);
		CU_ASSERT(memcmp(e.grant.assigned, "sb-", 3) == 0);
		for (int k = 3; k < REGISTRY_ID_BYTES; k++)
			CU_ASSERT(isxdigit(e.grant.assigned[k]) && !isupper(e.grant.assigned[k]));
		memcpy(seen[i], e.grant.assigned, REGISTRY_ID_BYTES);
		for (uint32_t k = 0; k < i; k++)
			CU_ASSERT(memcmp(seen[i], seen[k], REGISTRY_ID_BYTES) != 0);
	}
	/* It can be taken over by its name like any other. */
	struct registry_connect c = {.worker = 1,
		.connection = connection(1),
		.client_id = {(const uint8_t *)seen[5], REGISTRY_ID_BYTES}};
	struct registry_effect e = {.kind = REGISTRY_GRANT};
	CU_ASSERT(registry_connect(r, &c, 0) && next_effect(r, 0, &e));
	CU_ASSERT(e.kind == REGISTRY_REVOKE && e.revoke.connection.index == 5);
	CU_ASSERT(e.revoke.err == ERR_MQTT_TAKEN_OVER);
	registry_destroy(&r);
}

static void sessions_are_listed_page_by_page(void)
{
	struct registry *r = fresh(SESSIONS, BASE);
	struct registry_session s;
	uint64_t now = 5;
	uint32_t cursor = 0, count = 0;

	CU_ASSERT(!registry_list(r, &cursor, &s));
	act(r, "+0.1=a", &now);
	act(r, "+1.2=b", &now);
	act(r, "+2.3=b", &now);
	cursor = 0;
	for (; registry_list(r, &cursor, &s); count++) {
		const bool b = s.client_id.at[0] == 'b';
		CU_ASSERT(s.worker == (b ? 1 : 0) && s.revoking == b && s.since_us == 5);
	}
	CU_ASSERT(count == 2);
	registry_destroy(&r);
}

static void what_happens_is_counted(void)
{
	struct registry *r = fresh(1, BASE);
	uint64_t now = 0;

	act(r, "+0.1=a", &now);
	act(r, "+0.2=a", &now);
	act(r, "+0.3=b", &now);
	CU_ASSERT(counter_get(&counters, COUNTER_CP_SESSIONS) == 1);
	act(r, "-0.1", &now);
	CU_ASSERT(counter_get(&counters, COUNTER_CP_GRANTS) == 2);
	CU_ASSERT(counter_get(&counters, COUNTER_CP_TAKEOVERS) == 1);
	CU_ASSERT(counter_get(&counters, COUNTER_CP_REFUSALS) == 1);
	act(r, "-0.2", &now);
	CU_ASSERT(counter_get(&counters, COUNTER_CP_SESSIONS) == 0);
	registry_destroy(&r);
}

/* The walk's own idea of the world, kept by what workers would see. */
enum { WALK_CONNECTIONS = 40, WALK_IDS = 6 };

struct walker {
	bool open, live, told; /* told: revoked */
	uint32_t id;
	uint64_t epoch;
};

struct walk {
	struct registry *r;
	struct walker at[WORKERS][WALK_CONNECTIONS];
	uint64_t epoch[WALK_IDS]; /* highest granted */
	uint64_t base, now;
	bool fenced; /* somebody was too slow in this walk */
};

static struct walker *anyone(struct walk *w, struct rng *rng, uint32_t *worker, uint32_t *index)
{
	*worker = rng_below(rng, WORKERS);
	*index = rng_below(rng, WALK_CONNECTIONS);
	return &w->at[*worker][*index];
}

static void walk_take(struct walk *w, uint32_t worker)
{
	struct registry_effect e;

	while (next_effect(w->r, worker, &e)) {
		const uint32_t index = e.kind == REGISTRY_GRANT ? e.grant.connection.index
								: e.revoke.connection.index;
		struct walker *c = &w->at[worker][index];
		CU_ASSERT(c->open);
		if (e.kind == REGISTRY_REVOKE) {
			c->told = true;
		} else if (e.grant.verdict != SHM_GRANTED) {
			CU_ASSERT(!c->live);
			c->open = false;
		} else if (!c->live) {
			CU_ASSERT(e.grant.epoch > w->epoch[c->id]);
			w->epoch[c->id] = e.grant.epoch;
			c->epoch = e.grant.epoch;
			c->live = true;
		} else {
			CU_ASSERT(e.grant.epoch == c->epoch);
		}
	}
}

/* Unless one was fenced: one live connection per client id, told or not. */
static void walk_check(const struct walk *w)
{
	uint32_t live[WALK_IDS] = {0};

	for (uint32_t k = 0; k < WORKERS; k++)
		for (uint32_t i = 0; i < WALK_CONNECTIONS; i++)
			live[w->at[k][i].id] += w->at[k][i].open && w->at[k][i].live;
	for (uint32_t id = 0; id < WALK_IDS && !w->fenced; id++)
		CU_ASSERT(live[id] <= 1);
	registry_check(w->r);
}

static void walk_connect(struct walk *w, struct rng *rng, uint8_t flags)
{
	uint32_t worker, index;
	struct walker *c = anyone(w, rng, &worker, &index);
	const char *ids[WALK_IDS] = {"a", "b", "c", "d", "e", "f"};

	if (flags == 0 && c->open)
		return;
	/* Who was turned out in the meantime would be somebody new. */
	if (flags != 0 && (!c->open || c->told))
		return;
	if (flags == 0)
		*c = (struct walker){.open = true, .id = rng_below(rng, WALK_IDS)};
	const struct registry_connect connect = {.worker = worker,
		.connection = connection(index),
		.client_id = span_str(ids[c->id]),
		.flags = flags,
		.epoch = c->live ? c->epoch : 0};
	CU_ASSERT(registry_connect(w->r, &connect, w->now));
}

/* We restart: workers say all again, in any order. */
static void walk_restart(struct walk *w)
{
	const char *ids[WALK_IDS] = {"a", "b", "c", "d", "e", "f"};

	registry_destroy(&w->r);
	asked_count = 0;
	w->base += 1000000;
	w->r = fresh(WALK_IDS, w->base);
	for (int live = 1; live >= 0; live--) {
		for (uint32_t k = 0; k < WORKERS; k++) {
			for (uint32_t i = 0; i < WALK_CONNECTIONS; i++) {
				const struct walker *c = &w->at[k][i];
				if (!c->open || c->live != live)
					continue;
				const struct registry_connect connect = {.worker = k,
					.connection = connection(i),
					.client_id = span_str(ids[c->id]),
					.flags = live ? SHM_CONNECT_AGAIN | SHM_CONNECT_LIVE
						      : SHM_CONNECT_AGAIN,
					.epoch = c->epoch};
				CU_ASSERT(registry_connect(w->r, &connect, w->now));
			}
		}
	}
}

static void walk_step(struct walk *w, struct rng *rng)
{
	uint32_t worker, index;
	const uint32_t dice = rng_below(rng, 1000);

	if (dice < 400) {
		walk_connect(w, rng, 0);
	} else if (dice < 450) {
		walk_connect(w, rng, SHM_CONNECT_AGAIN);
	} else if (dice < 650) {
		struct walker *c = anyone(w, rng, &worker, &index);
		/* Mostly those who were told to. */
		if (c->open && (c->told || rng_chance(rng, 200000))) {
			registry_closed(w->r, worker, connection(index));
			c->open = false;
		}
	} else if (dice < 990) {
		walk_take(w, rng_below(rng, WORKERS));
	} else if (dice < 994) {
		worker = rng_below(rng, WORKERS);
		registry_worker_gone(w->r, worker);
		memset(w->at[worker], 0, sizeof(w->at[worker]));
	} else if (dice < 996) {
		walk_restart(w);
	} else if (w->fenced) {
		w->now += TIMEOUT_US / 2;
		registry_poll(w->r, w->now);
	}
}

static void at_most_one_is_live_and_epochs_grow(void)
{
	const unsigned long long seed = unit_seed();

	for (int run = 0; run < 40; run++) {
		struct walk w = {.base = BASE, .r = fresh(WALK_IDS, BASE), .fenced = run % 2 == 1};
		struct rng rng = rng_from(seed + (unsigned)run);
		lazy = run % 4 >= 2 ? &rng : NULL;
		for (int i = 0; i < 3000; i++) {
			walk_step(&w, &rng);
			walk_check(&w);
		}
		/* In the end all leave, and nothing is left. */
		for (uint32_t k = 0; k < WORKERS; k++)
			registry_worker_gone(w.r, k);
		lazy = NULL;
		pump(w.r);
		pump(w.r);
		registry_check(w.r);
		CU_ASSERT(registry_count(w.r) == 0);
		CU_ASSERT(registry_next_us(w.r) == UINT64_MAX);
		registry_destroy(&w.r);
	}
}

static struct registry_connect asks(const char *id, uint32_t index)
{
	return (struct registry_connect){.connection = connection(index),
		.client_id = span_str(id),
		.will = span_str("will"),
		.session_expiry_s = 9,
		.receive_max = 8,
		.flags = SHM_CONNECT_CLEAN};
}

static void sessions_are_asked_before_the_grant(void)
{
	struct registry *r = fresh(SESSIONS, BASE);
	const struct registry_connect c = asks("a", 1);
	struct registry_effect e = {.kind = REGISTRY_REVOKE};
	struct sessions_connect s;
	uint64_t session, epoch;

	CU_ASSERT(registry_connect(r, &c, 0) && !registry_next(r, 0, &e));
	CU_ASSERT_FATAL(registry_next_connect(r, &s));
	CU_ASSERT(span_equal(s.client_id, c.client_id) && span_equal(s.will, c.will));
	CU_ASSERT(s.session_expiry_s == 9 && s.receive_max == 8 && s.clean && s.epoch == 1001);
	CU_ASSERT(registry_next_connect(r, &s)); /* until it is taken */
	registry_asked(r);
	CU_ASSERT(!registry_next_connect(r, &s) && !registry_next(r, 0, &e));
	const struct sessions_ready ready = {
		.token = s.token, .session = 77, .present = true, .durable = true};
	registry_ready(r, &ready);
	CU_ASSERT(registry_next(r, 0, &e) && e.kind == REGISTRY_GRANT);
	CU_ASSERT(e.grant.session == 77 && e.grant.session_present && e.grant.durable);
	CU_ASSERT(!registry_next_gone(r, &session, &epoch));
	registry_closed(r, 0, connection(1));
	CU_ASSERT(registry_next_gone(r, &session, &epoch) && session == 77 && epoch == 1001);
	CU_ASSERT(!registry_next_gone(r, &session, &epoch));
	registry_check(r);
	registry_destroy(&r);
}

static void who_leaves_while_it_prepares_is_gone_when_it_is_ready(void)
{
	struct registry *r = fresh(SESSIONS, BASE);
	const struct registry_connect first = asks("a", 1), second = asks("a", 2);
	struct registry_effect e = {.kind = REGISTRY_GRANT};
	struct sessions_connect s;
	uint64_t session, epoch;

	CU_ASSERT(registry_connect(r, &first, 0) && registry_next_connect(r, &s));
	registry_asked(r);
	registry_closed(r, 0, connection(1));
	CU_ASSERT(registry_connect(r, &second, 0));
	registry_check(r);
	const uint64_t token = s.token;
	CU_ASSERT(!registry_next_connect(r, &s)); /* one at a time */
	registry_poll(r, TIMEOUT_US * 5);
	CU_ASSERT(!registry_next_connect(r, &s));
	const struct sessions_ready ready = {.token = token, .session = 5};
	registry_ready(r, &ready);
	CU_ASSERT(registry_next_gone(r, &session, &epoch) && session == 5 && epoch == 1001);
	CU_ASSERT(registry_next_connect(r, &s) && s.connection.index == 2 && s.epoch == 1002);
	CU_ASSERT(!registry_next(r, 0, &e));
	registry_check(r);
	registry_destroy(&r);
}

static void who_cannot_be_kept_is_refused(void)
{
	struct registry *r = fresh(SESSIONS, BASE);
	const struct registry_connect c = asks("a", 1);
	struct registry_effect e = {.kind = REGISTRY_REVOKE};
	struct sessions_connect s;

	CU_ASSERT(registry_connect(r, &c, 0) && registry_next_connect(r, &s));
	registry_asked(r);
	const struct sessions_ready ready = {.token = s.token, .err = ERR_REPLICAS_FULL};
	registry_ready(r, &ready);
	CU_ASSERT(registry_next(r, 0, &e) && e.grant.verdict == SHM_REFUSED_BUSY);
	CU_ASSERT(registry_count(r) == 0);
	registry_check(r);
	registry_destroy(&r);
}

static void a_position_binds_a_live_connection_to_its_session(void)
{
	struct registry *r = fresh(SESSIONS, BASE);
	struct registry_connect c = asks("a", 1);
	struct registry_effect e = {.kind = REGISTRY_GRANT};
	uint64_t session, epoch;

	c.epoch = 900;
	c.flags = SHM_CONNECT_AGAIN | SHM_CONNECT_LIVE;
	CU_ASSERT(registry_position(r, 0, connection(1), 7) == 0); /* unknown */
	CU_ASSERT(registry_connect(r, &c, 0));
	CU_ASSERT(registry_position(r, 0, connection(1), 0) == 0);
	CU_ASSERT(registry_position(r, 0, connection(1), 7) == 900);
	CU_ASSERT(registry_position(r, 0, connection(1), 8) == 0); /* another one */
	registry_turn_out(r, 0, connection(1), ERR_MQTT_SERVER_BUSY);
	registry_turn_out(r, 0, connection(9), ERR_MQTT_SERVER_BUSY);
	CU_ASSERT(registry_next(r, 0, &e) && e.kind == REGISTRY_REVOKE);
	CU_ASSERT(e.revoke.err == ERR_MQTT_SERVER_BUSY);
	registry_worker_gone(r, 0);
	CU_ASSERT(registry_next_gone(r, &session, &epoch) && session == 7 && epoch == 900);
	registry_check(r);
	registry_destroy(&r);
}

static const struct unit_test tests[] = {
	{"sessions_are_asked_before_the_grant", sessions_are_asked_before_the_grant},
	{"who_leaves_while_it_prepares_is_gone_when_it_is_ready",
		who_leaves_while_it_prepares_is_gone_when_it_is_ready},
	{"who_cannot_be_kept_is_refused", who_cannot_be_kept_is_refused},
	{"a_position_binds_a_live_connection_to_its_session",
		a_position_binds_a_live_connection_to_its_session},
	{"stories_come_out_as_told", stories_come_out_as_told},
	{"a_grant_that_was_not_taken_precedes_its_revoke",
		a_grant_that_was_not_taken_precedes_its_revoke},
	{"generations_of_a_connection_are_told_apart", generations_of_a_connection_are_told_apart},
	{"workers_number_their_connections_alike", workers_number_their_connections_alike},
	{"untaken_refusals_push_back", untaken_refusals_push_back},
	{"client_ids_are_bounded_in_all", client_ids_are_bounded_in_all},
	{"an_assigned_id_is_the_same_for_who_comes_after_us",
		an_assigned_id_is_the_same_for_who_comes_after_us},
	{"assigned_ids_are_hexadecimal_and_differ", assigned_ids_are_hexadecimal_and_differ},
	{"sessions_are_listed_page_by_page", sessions_are_listed_page_by_page},
	{"what_happens_is_counted", what_happens_is_counted},
	{"at_most_one_is_live_and_epochs_grow", at_most_one_is_live_and_epochs_grow},
};

int main(int argc, char **argv)
{
	return UNIT_MAIN("registry", tests, argc, argv);
}
