/* scene_plan.c - draws a scene from its seed. */
#include "tests/sim/scene_internal.h"

#include <stdio.h>

static bool half(struct rng *r)
{
	return rng_below(r, 2) == 0;
}

static bool seldom(struct rng *r)
{
	return rng_below(r, 5) == 0;
}

static struct scene_faults draw_faults(struct rng *r)
{
	return (struct scene_faults){.network = half(r),
		.controlplane_kills = half(r),
		.dataplane_kills = half(r),
		.power_cuts = half(r),
		.ambushes = half(r),
		.disk_full = seldom(r),
		.disk_errors = seldom(r),
		.disk_stalls = seldom(r),
		.slow_disk = half(r),
		.pauses = seldom(r),
		.clock_steps = seldom(r),
		.small_pools = seldom(r),
		.small_queues = seldom(r),
		.drops = half(r),
		.goodbyes = half(r),
		.purges = seldom(r),
		.resubscriptions = half(r),
		.wills = half(r),
		.retained = half(r),
		.blackouts = half(r),
		.huge = seldom(r)};
}

static struct impair_settings draw_impairment(struct rng *r)
{
	return (struct impair_settings){.loss_ppm = half(r) ? rng_below(r, 50000) : 0,
		.reorder_ppm = half(r) ? rng_below(r, 50000) : 0,
		.duplicate_ppm = half(r) ? rng_below(r, 20000) : 0,
		.corrupt_ppm = half(r) ? rng_below(r, 5000) : 0,
		.delay_us = rng_below(r, 3000),
		.jitter_us = half(r) ? rng_below(r, 2000) : 0,
		.seed = rng_next(r)};
}

static struct device_conf draw_device(struct plan *p, uint32_t i, struct rng *r)
{
	static const char *const wills[] = {"w/0", "w/1", "w/2", "w/3", "w/4", "w/5", "w/6", "w/7"};
	struct device_conf d = {.number = i + 1,
		.id = p->ids[i],
		.version = half(r) ? MQTT_V5 : MQTT_V4,
		.clean = i > 1 && seldom(r), /* two are durable always */
		.expiry_s = half(r) ? UINT32_MAX : 3600,
		.window = 1 + rng_below(r, 16),
		.ack_delay_us = half(r) ? 0 : rng_below(r, 20000),
		.seed = rng_next(r)};

	snprintf(p->ids[i], sizeof(p->ids[i]), "d%u", i);
	if (d.version == MQTT_V5 && half(r))
		d.receive_max = (uint16_t)(1 + rng_below(r, 20));
	if (!p->faults.wills || half(r))
		return d;
	d.will_topic = wills[i];
	d.will_qos = (uint8_t)rng_below(r, p->qos_max + 1u);
	if (d.version == MQTT_V5 && half(r))
		d.will_delay_s = 1 + rng_below(r, 3);
	return d;
}

struct plan scene_plan(const struct scene_conf *conf, struct rng *r)
{
	struct plan p = {.faults = draw_faults(r)};

	if (conf->faults != NULL)
		p.faults = *conf->faults;
	if (p.faults.small_pools)
		p.faults.huge = false; /* it would never fit */
	p.impair = draw_impairment(r);
	if (!p.faults.network)
		p.impair = (struct impair_settings){.delay_us = 50, .seed = p.impair.seed};
	p.qos_max = 2;
	p.workers = 1 + rng_below(r, WORLD_WORKERS_MAX);
	if (conf->workers != 0)
		p.workers = conf->workers;
	p.devices = 3 + rng_below(r, 4);
	p.publishes = 100 + rng_below(r, 200);
	p.safety_us = (1 + rng_below(r, 4)) * (uint64_t)SECOND_US;
	p.pace_us = p.safety_us / p.publishes;
	for (uint32_t i = 0; i < p.devices; i++)
		p.device[i] = draw_device(&p, i, r);
	return p;
}

static void shrink_tables(struct shm_config *c)
{
	c->connections_max = 64;
	c->subscriptions_max = 256;
	c->filters_max = 256;
	c->filter_bytes_max = 1 << 16;
	c->patterns_max = 16;
	c->pattern_size_max = 64;
	c->patterns_session_max = 8;
	c->messages_max = 1024;
	c->rx_buffers = 1024;
	c->tx_buffers = 1024;
	c->held_buffers = 512;
	c->message_buffers = 1024;
	c->receive_window_max = 64 << 10;
	c->send_queue_max = 256 << 10;
	c->half_open_max = 32;
	c->sessions_max = 64;
	c->queue_messages_max = 10000;
	c->queued_max = 200;
	c->outbound_max = 1024;
	c->retained_max = 64;
	c->retained_bytes_max = 1 << 20;
}

static void tune(struct shm_config *c)
{
	c->takeover_timeout_us = 200000;
	c->grant_timeout_us = 1000000;
	c->park_timeout_us = 100000;
	c->tcp_keepalive_us = 2000000;
	c->tcp_user_timeout_us = 5000000;
	c->time_wait_us = 500000;
}

struct world_conf scene_world(const struct scene_conf *conf, const struct plan *p)
{
	struct world_conf w = world_defaults(conf->seed);
	struct shm_config *c = &w.config;

	shrink_tables(c);
	tune(c);
	c->workers = p->workers;
	if (p->faults.small_pools) {
		c->messages_max = 32;
		c->message_buffers = 64;
		c->tx_buffers = 256;
		c->held_buffers = 64;
		c->outbound_max = 24;
	}
	if (p->faults.small_queues)
		c->queue_messages_max = 20;
	if (conf->durability != NULL)
		snprintf(c->durability, sizeof(c->durability), "%s", conf->durability);
	w.impair = p->impair;
	w.client_buffers = 2048;
	w.client_keepalive_us = 2000000;
	w.sync_us = p->faults.slow_disk ? 20000 : 100;
	w.skip_syncs = conf->skip_syncs;
	w.forget_kind = conf->forget_kind;
	return w;
}

void scene_print_faults(const struct scene_faults *f)
{
	const struct {
		const char *name;
		bool on;
	} rows[] = {{"network", f->network}, {"controlplane_kills", f->controlplane_kills},
		{"dataplane_kills", f->dataplane_kills}, {"power_cuts", f->power_cuts},
		{"ambushes", f->ambushes}, {"disk_full", f->disk_full},
		{"disk_errors", f->disk_errors}, {"disk_stalls", f->disk_stalls},
		{"slow_disk", f->slow_disk}, {"pauses", f->pauses}, {"clock_steps", f->clock_steps},
		{"small_pools", f->small_pools}, {"small_queues", f->small_queues},
		{"drops", f->drops}, {"goodbyes", f->goodbyes}, {"purges", f->purges},
		{"resubscriptions", f->resubscriptions}, {"wills", f->wills},
		{"retained", f->retained}, {"blackouts", f->blackouts}, {"huge", f->huge}};

	printf("# faults:");
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (rows[i].on)
			printf(" %s", rows[i].name);
	printf("\n");
}
