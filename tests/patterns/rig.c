/* rig.c - see rig.h. */
#include "tests/patterns/rig.h"

#include "dataplane/base/assert.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

enum { PATIENCE_US = 300 * 1000 * 1000 };

uint64_t rig_clock_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000u + (uint64_t)t.tv_nsec / 1000u;
}

static bool open_control(struct rig *r)
{
	const char *program = getenv("COMPILER");
	const struct process_conf process = {
		.program = r->program = program == NULL ? -1 : open(program, O_PATH | O_CLOEXEC),
		.cpu_s = r->conf.cpu_s,
		.memory_bytes = r->conf.memory_bytes,
		.database_bytes = r->conf.database_bytes};
	struct compile_conf compile = {.tiers = r->region,
		.workers = RIG_WORKERS,
		.patterns_max = r->conf.patterns_max,
		.text_bytes_max = 32 << 20,
		.counters = &r->control,
		.key = {3, 4}};

	if (process.program < 0)
		return false;
	r->compiler = process_create(&process);
	compile.compiler = r->compiler;
	r->compile = compile_create(&compile);
	return r->compiler != NULL && r->compile != NULL;
}

static void close_control(struct rig *r)
{
	compile_destroy(&r->compile);
	if (r->compiler != NULL)
		process_destroy(&r->compiler);
	if (r->program >= 0)
		close(r->program);
}

static void open_matchers(struct rig *r)
{
	for (uint32_t w = 0; w < RIG_WORKERS; w++) {
		const struct match_conf conf = {.filters_max = 2 * r->conf.patterns_max,
			.filter_bytes_max = 32 << 20,
			.patterns_max = r->conf.patterns_max,
			.pattern_size_max = 1024,
			.key = {5, w},
			.counters = &r->worker[w]};
		r->match[w] = match_create(&conf);
		ASSERT(r->match[w] != NULL);
	}
}

static void forget(struct rig *r)
{
	for (uint32_t w = 0; w < RIG_WORKERS; w++)
		compile_forget(r->compile, w, rig_clock_us());
}

bool rig_start(struct rig *r, const struct rig_conf *conf)
{
	*r = (struct rig){.conf = *conf};
	r->region = mmap(NULL, shm_region_bytes(SHM_TIERS, 1), PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	ASSERT(r->region != MAP_FAILED);
	if (!open_control(r))
		return false;
	const struct service_conf service = {
		.tiers = r->region, .workers = RIG_WORKERS, .boxes = r->letters};
	r->service = service_create(&service);
	ASSERT(r->service != NULL);
	open_matchers(r);
	forget(r);
	return true;
}

void rig_stop(struct rig *r)
{
	close_control(r);
	for (uint32_t w = 0; w < RIG_WORKERS; w++) {
		for (uint32_t seat = 0; seat < TIER_SEATS; seat++) {
			struct tier *t = letter_full(&r->letters[w].in[seat])
						 ? letter_take(&r->letters[w].in[seat])
						 : NULL;
			tier_destroy(&t);
		}
		match_destroy(&r->match[w]);
	}
	service_destroy(&r->service);
	munmap(r->region, shm_region_bytes(SHM_TIERS, 1));
}

void rig_restart_control(struct rig *r)
{
	close_control(r);
	const bool opened = open_control(r);
	ASSERT(opened);
	forget(r);
	for (uint32_t w = 0; w < RIG_WORKERS; w++)
		match_repeat_news(r->match[w]);
}

enum err rig_insert(struct rig *r, struct span filter)
{
	enum err e = ERR_NONE;
	uint32_t id;

	for (uint32_t w = 0; w < RIG_WORKERS && e == ERR_NONE; w++)
		e = match_insert(r->match[w], filter, &id);
	return e;
}

void rig_remove(struct rig *r, struct span filter)
{
	for (uint32_t w = 0; w < RIG_WORKERS; w++) {
		const uint32_t id = match_find(r->match[w], filter);
		if (id != MATCH_NONE)
			match_remove(r->match[w], id);
	}
}

bool rig_tell(struct rig *r, uint32_t worker)
{
	struct match_news n;
	bool moved = false;

	while (match_next_news(r->match[worker], &n)) {
		const struct compile_news news = {worker, n.pattern, n.added, n.text};
		compile_news(r->compile, &news, rig_clock_us());
		match_took_news(r->match[worker]);
		moved = true;
	}
	return moved;
}

bool rig_step(struct rig *r)
{
	bool moved = compile_poll(r->compile, rig_clock_us());

	moved |= service_poll(r->service);
	for (uint32_t w = 0; w < RIG_WORKERS; w++) {
		moved |= rig_tell(r, w);
		const bool took = letters_take_in(&r->letters[w], r->match[w]);
		r->moved += took;
		moved |= took;
	}
	return moved;
}

bool rig_settle(struct rig *r)
{
	const uint64_t end = rig_clock_us() + PATIENCE_US;

	while (rig_clock_us() < end) {
		if (rig_step(r))
			continue;
		if (compile_next_us(r->compile, rig_clock_us()) == UINT64_MAX)
			return true;
		poll(NULL, 0, 1);
	}
	return false;
}

struct span rig_filter(uint32_t i, uint8_t *text, size_t size)
{
	static const char *const forms[] = {"$filter/amqp/region%u.#.temp%u",
		"$filter/amqp/#.device%u.#.x%u", "$filter/regex/^site%u/[a-f]+/t%u[0-9]{1,3}$",
		"$filter/regex/sensor%u[0-9]*/(on|off)%u$", "$filter/amqp/*.plant%u.#.line%u"};
	const char *form = forms[i % 5];
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	const int n = snprintf((char *)text, size, form, i, i % 7);
#pragma GCC diagnostic pop
	return span_of(text, (size_t)n);
}

struct span rig_topic(uint32_t i, uint8_t *text, size_t size)
{
	static const char *const forms[] = {"region%u/a/b/temp%u", "a/device%u/b/c/x%u",
		"site%u/abc/t%u12", "b/sensor%u/on%u", "a/plant%u/line%u"};
	const char *form = forms[i % 5];
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	const int n = snprintf((char *)text, size, form, i, i % 7);
#pragma GCC diagnostic pop
	return span_of(text, (size_t)n);
}
