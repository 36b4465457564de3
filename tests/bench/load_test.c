/* load_test.c - the load against a broker that is a table, with a clock that is a number. */
#include "tests/bench/load.h"

#include "dataplane/codec/mqtt.h"
#include "tests/unit/unit.h"

#include <stdlib.h>

enum { CLIENTS = 8, WAITING = 1 << 16 };

/* Answers at once, and delivers at the next turn; forgets and doubles messages when told to. */
static struct fake {
	struct end end;
	struct end_events events;
	bool open[CLIENTS], fresh[CLIENTS], subscribed[CLIENTS], goes[CLIENTS];
	uint8_t topic[CLIENTS]; /* its last letter */
	uint8_t waiting[CLIENTS][WAITING];
	size_t size[CLIENTS];
	uint64_t published, forget_every, double_every;
	bool refuses, stuck, silent;
} fake;

static uint64_t clock_ns;
static struct load *load;

static uint64_t now(void)
{
	return clock_ns;
}

static bool fake_open(struct end *e, uint32_t c)
{
	(void)e;
	fake.open[c] = fake.fresh[c] = true;
	fake.size[c] = 0;
	return true;
}

static void fake_close(struct end *e, uint32_t c)
{
	(void)e;
	fake.open[c] = fake.subscribed[c] = false;
}

static void answer(uint32_t c, const void *bytes, size_t size)
{
	CU_ASSERT_FATAL(fake.size[c] + size <= WAITING);
	memcpy(fake.waiting[c] + fake.size[c], bytes, size);
	fake.size[c] += size;
}

static void forward(struct span topic, struct span packet)
{
	fake.published++;
	if (fake.forget_every > 0 && fake.published % fake.forget_every == 0)
		return;
	for (uint32_t c = 0; c < CLIENTS; c++) {
		if (!fake.subscribed[c] || fake.topic[c] != topic.at[topic.size - 1])
			continue;
		answer(c, packet.at, packet.size);
		if (fake.double_every > 0 && fake.published % fake.double_every == 0)
			answer(c, packet.at, packet.size);
	}
}

static void hear(uint32_t c, const struct mqtt_frame *f, struct span packet)
{
	struct mqtt_publish p;
	struct mqtt_subscribe s;
	struct mqtt_filter filter;
	uint8_t bytes[] = {0x40, 2, 0, 0};

	if (f->type == MQTT_CONNECT) {
		answer(c, fake.refuses ? "\x20\x02\0\x05" : "\x20\x02\0\0", 4);
	} else if (f->type == MQTT_SUBSCRIBE) {
		CU_ASSERT_FATAL(mqtt_decode_subscribe(f, MQTT_V4, &s) == ERR_NONE);
		CU_ASSERT_FATAL(mqtt_next_filter(&s, &filter));
		fake.topic[c] = filter.filter.at[filter.filter.size - 1];
		fake.subscribed[c] = true;
		answer(c, "\x90\x03\0\x01\0", 5);
	} else if (f->type == MQTT_PUBLISH) {
		CU_ASSERT_FATAL(mqtt_decode_publish(f, MQTT_V4, &p) == ERR_NONE);
		forward(p.topic, packet);
		bytes[2] = (uint8_t)(p.packet_id >> 8);
		bytes[3] = (uint8_t)p.packet_id;
		if (p.qos > 0)
			answer(c, bytes, sizeof(bytes));
	} else if (f->type == MQTT_DISCONNECT) {
		fake.goes[c] = true;
	}
}

static bool fake_send(struct end *e, uint32_t c, struct span bytes)
{
	const struct mqtt_limits limits = {1 << 20, 1 << 16};
	struct mqtt_frame f;

	(void)e;
	if (fake.stuck)
		return false;
	const struct decoded d = mqtt_decode(bytes, MQTT_V4, &limits, &f);
	CU_ASSERT_FATAL(d.verdict == DECODE_DONE && d.used + f.payload_size == bytes.size);
	hear(c, &f, bytes);
	return true;
}

static void deliver(uint32_t c)
{
	static uint8_t bytes[WAITING];
	const size_t size = fake.size[c];

	if (!fake.open[c] || fake.silent || size == 0)
		return;
	memcpy(bytes, fake.waiting[c], size);
	fake.size[c] = 0;
	CU_ASSERT_EQUAL(fake.events.bytes(fake.events.owner, c, span_of(bytes, size)), size);
}

static void fake_turn(struct end *e, uint64_t wait_us)
{
	(void)wait_us;
	for (uint32_t c = 0; c < CLIENTS; c++) {
		if (fake.open[c] && fake.fresh[c])
			fake.events.opened(fake.events.owner, c);
		fake.fresh[c] = false;
		deliver(c);
		if (fake.goes[c]) {
			fake.goes[c] = false;
			fake_close(e, c);
			fake.events.closed(fake.events.owner, c);
		}
	}
}

static const struct end_ops ops = {
	.open = fake_open, .send = fake_send, .close = fake_close, .turn = fake_turn};

static void turn(uint64_t ns)
{
	clock_ns += ns;
	load_step(load, clock_ns);
	fake.end.ops->turn(&fake.end, 0);
}

static void begin(const struct load_conf *conf)
{
	memset(&fake, 0, sizeof(fake));
	fake.end.ops = &ops;
	clock_ns = 1000000000;
	load = load_create(conf);
	load_clock(load, now);
	fake.events = load_events(load);
	load_bind(load, &fake.end);
	for (int i = 0; i < 10 && !conf->connects; i++)
		turn(1000);
	CU_ASSERT(conf->connects || load_ready(load));
}

static struct load_conf pairs(uint32_t publishers, uint32_t subscribers, uint32_t window)
{
	return (struct load_conf){.wire = &wire_mqtt,
		.name = "t",
		.publishers = publishers,
		.subscribers_each = subscribers,
		.window = window,
		.payload_size = LOAD_PAYLOAD_MIN,
		.opening_max = 2};
}

static void keeps_its_window(void)
{
	const struct load_conf conf = pairs(2, 3, 5);

	begin(&conf);
	load_go(load, true);
	load_measure(load, true);
	fake.silent = true;
	turn(1000);
	turn(1000);
	CU_ASSERT_EQUAL(load_counts(load)->published, 10);
	CU_ASSERT_EQUAL(load_counts(load)->delivered, 0);
	fake.silent = false;
	turn(1000);
	CU_ASSERT_EQUAL(load_counts(load)->delivered, 30);
	turn(1000);
	CU_ASSERT_EQUAL(load_counts(load)->published, 20);
	CU_ASSERT_EQUAL(load_counts(load)->delivered, 60);
	CU_ASSERT_EQUAL(load_counts(load)->lost, 0);
	/* The first ten were sent at the first turn, and arrived two turns later. */
	CU_ASSERT_EQUAL(load_delays(load)->max, 2000);
	load_destroy(&load);
}

static void waits_for_acknowledgements(void)
{
	struct load_conf conf = pairs(1, 1, 3);

	conf.qos = 1;
	begin(&conf);
	load_go(load, true);
	for (int i = 0; i < 10; i++)
		turn(1000);
	CU_ASSERT_EQUAL(load_counts(load)->published, 30);
	/* The publisher hears before it publishes again. */
	CU_ASSERT_EQUAL(load_counts(load)->acknowledged, 30);
	load_go(load, false);
	turn(1000);
	CU_ASSERT(load_quiet(load));
	load_destroy(&load);
}

static void counts_what_is_lost_or_doubled(void)
{
	const struct load_conf conf = pairs(1, 2, 1);

	begin(&conf);
	fake.forget_every = 10;
	fake.double_every = 7;
	load_go(load, true);
	for (int i = 0; i < 200; i++) {
		turn(1000);
		(void)load_give_up(load, clock_ns, 3000);
	}
	load_go(load, false);
	(void)load_give_up(load, clock_ns, 0);
	const struct load_counts *c = load_counts(load);
	CU_ASSERT_EQUAL(c->lost, 2 * (c->published / 10));
	CU_ASSERT_EQUAL(c->delivered + c->lost, 2 * c->published);
	CU_ASSERT(c->lost > 0 && c->duplicated > 0);
	CU_ASSERT(load_quiet(load));
	load_destroy(&load);
}

/* With a window of several, a gap is seen when the next message comes. */
static void sees_gaps(void)
{
	const struct load_conf conf = pairs(1, 1, 20);

	begin(&conf);
	fake.forget_every = 7;
	load_go(load, true);
	for (int i = 0; i < 50; i++)
		turn(1000);
	CU_ASSERT(load_counts(load)->published > 800);
	(void)load_give_up(load, clock_ns, 0);
	CU_ASSERT_EQUAL(load_counts(load)->lost, load_counts(load)->published / 7);
	load_destroy(&load);
}

static void keeps_its_rate(void)
{
	struct load_conf conf = pairs(2, 1, 0);

	conf.rate = 1000;
	begin(&conf);
	load_go(load, true);
	load_measure(load, true);
	for (int i = 0; i < 100; i++)
		turn(500000);
	CU_ASSERT_EQUAL(load_counts(load)->published, 51); /* at 0 ms, 1 ms, ... 50 ms */
	CU_ASSERT_EQUAL(load_counts(load)->delivered, 51);
	CU_ASSERT(load_next_ns(load) > clock_ns && load_next_ns(load) <= clock_ns + 1000000);
	load_destroy(&load);
}

/* A broker that takes nothing for 100 ms delays all that were due meanwhile, not one. */
static void does_not_omit_what_waits(void)
{
	struct load_conf conf = pairs(1, 1, 0);

	conf.rate = 1000;
	begin(&conf);
	load_go(load, true);
	load_measure(load, true);
	fake.stuck = true;
	for (int i = 0; i < 100; i++)
		turn(1000000);
	CU_ASSERT_EQUAL(load_counts(load)->published, 0);
	fake.stuck = false;
	turn(0);
	CU_ASSERT_EQUAL(load_counts(load)->delivered, 101);
	CU_ASSERT_EQUAL(load_delays(load)->max, 100000000);
	const uint64_t half = histogram_quantile(load_delays(load), 0.5);
	CU_ASSERT(half >= 50000000 && half < 51000000);
	load_destroy(&load);
}

static void comes_and_goes(void)
{
	struct load_conf conf = pairs(3, 0, 0);

	conf.connects = true;
	begin(&conf);
	load_go(load, true);
	load_measure(load, true);
	for (int i = 0; i < 100; i++)
		turn(1000);
	CU_ASSERT(load_counts(load)->connected > 50);
	CU_ASSERT_EQUAL(load_counts(load)->closed, 0);
	CU_ASSERT_EQUAL(load_delays(load)->count, load_counts(load)->connected);
	fake.refuses = true;
	turn(1000);
	turn(1000);
	CU_ASSERT(load_counts(load)->refused > 0);
	load_destroy(&load);
}

static void sits_idle(void)
{
	struct load_conf conf = pairs(0, 0, 0);

	conf.idle = 5;
	begin(&conf);
	load_go(load, true);
	turn(1000);
	for (uint32_t c = 0; c < 5; c++)
		CU_ASSERT_EQUAL(fake.topic[c], '0' + c);
	CU_ASSERT_EQUAL(load_counts(load)->published, 0);
	CU_ASSERT(load_quiet(load));
	load_destroy(&load);
}

static const struct unit_test tests[] = {
	{"keeps_its_window", keeps_its_window},
	{"waits_for_acknowledgements", waits_for_acknowledgements},
	{"counts_what_is_lost_or_doubled", counts_what_is_lost_or_doubled},
	{"sees_gaps", sees_gaps},
	{"keeps_its_rate", keeps_its_rate},
	{"does_not_omit_what_waits", does_not_omit_what_waits},
	{"comes_and_goes", comes_and_goes},
	{"sits_idle", sits_idle},
};

int main(int argc, char **argv)
{
	return UNIT_MAIN("load", tests, argc, argv);
}
