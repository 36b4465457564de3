/* scene.c - the devices' play, and the end of it. */
#include "tests/sim/scene_internal.h"

#include "dataplane/base/assert.h"
#include "dataplane/shm/region.h"

#include <stdio.h>

static const char *const topics[TOPICS] = {"t/0", "t/1", "t/2", "t/3"};
static const char *const filters[] = {"t/#", "t/0", "t/1", "t/2", "t/3", "r/#"};
/* Matches nothing, but is tried, and told as a pattern. */
static const char pattern[] = "$filter/regex/^x(a|b){60}$";
static const char *const values[SCENE_DEVICES_MAX] = {
	"r/0", "r/1", "r/2", "r/3", "r/4", "r/5", "r/6", "r/7"};

static struct device *any_device(struct scene *s, uint32_t *which)
{
	*which = rng_below(&s->rng, s->plan.devices);
	return s->device[*which];
}

static uint32_t draw_size(struct scene *s)
{
	const bool large = rng_below(&s->rng, 20) == 0;
	const bool huge = s->plan.faults.huge && rng_below(&s->rng, 50) == 0;

	if (huge) /* crosses between the planes in parts */
		return SHM_PART_BYTES + rng_below(&s->rng, 50000);

	return LEDGER_PAYLOAD_MIN + rng_below(&s->rng, large ? 4000 : 100);
}

static uint8_t draw_qos(struct scene *s)
{
	return (uint8_t)rng_below(&s->rng, s->plan.qos_max + 1u);
}

static uint8_t at_least_once(struct scene *s)
{
	return s->plan.qos_max == 0 ? 0 : (uint8_t)(1 + rng_below(&s->rng, s->plan.qos_max));
}

/* A topic of its own for each publisher of retained values: else nobody can say which is newer. */
static void publish(struct scene *s)
{
	uint32_t which;
	struct device *d = any_device(s, &which);
	const uint8_t qos = draw_qos(s);
	const uint32_t size = draw_size(s);

	if (s->plan.faults.retained && rng_below(&s->rng, 4) == 0) {
		const bool removes = rng_below(&s->rng, 6) == 0;
		s->published += device_publish(
			d, values[which], removes ? 0 : size, at_least_once(s), true);
		return;
	}
	s->published += device_publish(d, topics[rng_below(&s->rng, TOPICS)], size, qos, false);
}

static void change_filters(struct scene *s)
{
	uint32_t which;
	struct device *d = any_device(s, &which);
	const uint32_t f = 1 + rng_below(&s->rng, ARRAY_SIZE(filters) - 1);

	/* t/# stays: single filters would overlap with it. */
	if (device_unsubscribe(d, filters[f]))
		return;
	if (which > 0)
		(void)device_subscribe(d, filters[f], draw_qos(s));
}

static void come_or_go(struct scene *s, uint64_t now_us)
{
	uint32_t which;
	struct device *d = any_device(s, &which);
	const struct scene_faults *f = &s->plan.faults;
	const uint32_t what = rng_below(&s->rng, 4);

	if (what == 0 && f->drops) {
		device_drop(d);
	} else if (what == 1 && f->goodbyes) {
		device_goodbye(d);
	} else if (what == 2 && f->purges) {
		device_purge(d);
		device_drop(d);
	}
	/* Who is gone stays away for a while, sometimes. */
	device_stay(d, rng_below(&s->rng, 3) > 0, now_us);
}

static void act(struct scene *s, uint64_t now_us)
{
	const uint32_t what = rng_below(&s->rng, 20);

	if (what == 0)
		come_or_go(s, now_us);
	else if (what == 1 && s->plan.faults.resubscriptions)
		change_filters(s);
	else if (s->published < s->plan.publishes)
		publish(s);
}

/* Publishers are refused what waited too long for room, here behind a disk that stalls, and may
 * never hear it: they say it again, after what they said next. */
static bool refuses(const struct scene *s)
{
	const enum counter quota = (enum counter)(COUNTER_NAMED + ERR_MQTT_QUOTA),
			   messages = (enum counter)(COUNTER_NAMED + ERR_NO_MESSAGES);

	return world_counter(s->world, quota) + world_counter(s->world, messages) > 0;
}

static bool turn(void *owner, uint64_t now_us)
{
	struct scene *s = (struct scene *)owner;
	bool busy = false;

	scene_turn_faults(s, now_us);
	if (refuses(s))
		ledger_order(s->ledger, false);
	if (s->safety && now_us >= s->act_us) {
		act(s, now_us);
		s->act_us = now_us + rng_below(&s->rng, (uint32_t)(2 * s->plan.pace_us));
		busy = true;
	}
	for (uint32_t i = 0; i < s->devices; i++)
		busy |= device_turn(s->device[i], now_us);
	return busy;
}

static uint64_t next_us(void *owner)
{
	const struct scene *s = (const struct scene *)owner;
	uint64_t t = scene_faults_next_us(s);

	if (s->safety && s->act_us < t)
		t = s->act_us;
	for (uint32_t i = 0; i < s->devices; i++) {
		const uint64_t d = device_next_us(s->device[i]);
		t = d < t ? d : t;
	}
	return t;
}

/* Device 0 hears everything; the others some of it. */
static void first_filters(struct scene *s, uint32_t i)
{
	struct device *d = s->device[i];

	if (i == 0) {
		(void)device_subscribe(d, "t/#", s->plan.qos_max);
		(void)device_subscribe(d, "w/#", at_least_once(s));
		(void)device_subscribe(d, "r/#", at_least_once(s));
		return;
	}
	for (uint32_t f = 1; f < ARRAY_SIZE(filters); f++)
		if (rng_below(&s->rng, 2) == 0)
			(void)device_subscribe(d, filters[f], draw_qos(s));
	if (i == 1)
		(void)device_subscribe(d, pattern, 0);
}

static void add_device(struct scene *s, const struct device_conf *conf)
{
	s->device[s->devices] = device_create(s->world, s->ledger, conf);
	device_stay(s->device[s->devices++], true, world_now_us(s->world));
}

static bool settled(const struct scene *s)
{
	for (uint32_t i = 0; i < s->devices; i++)
		if (!device_settled(s->device[i]))
			return false;
	return world_alive(s->world, WORLD_MACHINE);
}

static bool drained(void *owner)
{
	const struct scene *s = (const struct scene *)owner;

	return settled(s) && ledger_owed(s->ledger) == 0;
}

static bool drain(struct scene *s)
{
	const bool done = world_run(s->world, drained, s, PATIENCE_US);

	/* What comes now comes once too often. */
	world_run(s->world, NULL, NULL, SECOND_US);
	return done;
}

static void set_the_stage(struct scene *s)
{
	const struct world_conf conf = scene_world(s->conf, &s->plan);
	const struct world_actor actor = {turn, next_us, s};

	s->world = world_create(&conf);
	s->ledger = ledger_create(MESSAGES_MAX, SESSIONS_MAX);
	ASSERT(s->ledger != NULL);
	ledger_loud(s->ledger, s->conf->loud);
	ledger_order(s->ledger, !s->plan.faults.small_queues);
	for (uint32_t i = 0; i < s->plan.devices; i++) {
		add_device(s, &s->plan.device[i]);
		first_filters(s, i);
	}
	world_join(s->world, &actor);
	s->was_alive = true;
	s->plane_us[0] = s->plane_us[1] = s->unpause_us = s->release_us = s->light_us = UINT64_MAX;
	s->act_us = s->fault_us = world_now_us(s->world) + SECOND_US / 10;
}

static void play(struct scene *s)
{
	const struct scene_ambush *a = &s->conf->ambush;

	s->safety = true;
	if (a->wanted)
		world_kill_at(s->world, a->victim, &a->at, 1 + rng_below(&s->rng, a->depth));
	world_run(s->world, NULL, NULL, s->plan.safety_us);
	scene_calm(s);
	for (uint32_t i = 0; i < s->devices; i++)
		device_stay(s->device[i], true, world_now_us(s->world));
}

/* Everybody's subscriptions must still be what was agreed, and values what was said last. */
static bool probe(struct scene *s)
{
	const struct device_conf observer = {.number = SCENE_DEVICES_MAX + 1,
		.id = "observer",
		.version = MQTT_V5,
		.clean = true,
		.window = 1,
		.seed = s->conf->seed};

	for (uint32_t i = 0; i < s->plan.devices; i++)
		for (uint32_t t = 0; t < TOPICS; t++)
			(void)device_publish(s->device[i], topics[t], 64, at_least_once(s), false);
	add_device(s, &observer);
	(void)device_subscribe(s->device[s->devices - 1], "r/#", at_least_once(s));
	const bool done = drain(s);
	ledger_observes(s->ledger, device_session(s->device[s->devices - 1]));
	return done;
}

static void tell(const struct scene *s, const struct scene_result *r)
{
	if ((r->clean && r->live) || !s->conf->loud)
		return;
	ledger_print(s->ledger);
	scene_print_faults(&s->plan.faults);
	printf("# %u workers, %u devices, %u publishes, %u kills\n", s->plan.workers,
		s->plan.devices, s->plan.publishes, s->kills);
	for (uint32_t i = 0; i < s->devices && !r->live; i++)
		device_print(s->device[i]);
	world_print_errors(s->world);
}

struct scene_result scene_run(const struct scene_conf *conf)
{
	struct scene s = {.conf = conf, .rng = rng_from(conf->seed)};
	struct scene_result r = {0};
	const uint32_t before = world_kills_at(&conf->ambush.at, conf->ambush.victim);

	s.plan = scene_plan(conf, &s.rng);
	for (uint32_t i = 0; i < s.plan.devices; i++) /* they point into the plan */
		s.plan.device[i].id = s.plan.ids[i];
	set_the_stage(&s);
	play(&s);
	r.live = drain(&s);
	r.live = r.live && probe(&s);
	r.clean = ledger_judge(s.ledger, &r.totals);
	r.ambushed = world_kills_at(&conf->ambush.at, conf->ambush.victim) > before;
	r.trace = world_trace(s.world) ^ ledger_hash(s.ledger);
	r.virtual_us = world_now_us(s.world);
	r.kills = s.kills;
	tell(&s, &r);
	for (uint32_t i = 0; i < s.devices; i++)
		device_destroy(&s.device[i]);
	world_destroy(&s.world);
	ledger_destroy(&s.ledger);
	return r;
}
