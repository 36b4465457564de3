/* run.c - the phases of one measurement. See run.h. */
#include "tests/bench/run_internal.h"

#include "dataplane/base/assert.h"

#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum {
	QUIET_NS = 1000 * 1000 * 1000, /* without an arrival: what is under way is lost */
	WAIT_US = 1000,
	SPIN_NS = 200 * 1000, /* before a message of an open loop is due */
	GAP_MIN_NS = 1000,
};

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static const struct {
	const char *name;
	uint32_t publishers, subscribers_each, window;
} shapes[RUN_SHAPES] = {
	[RUN_FAN_OUT] = {"fan_out", 1, 1000, 20},
	[RUN_PIPELINED] = {"pipelined", 50, 1, 20},
	[RUN_ONE_IN_FLIGHT] = {"one_in_flight", 1000, 1, 1},
	[RUN_CONNECTS] = {"connects", 100, 0, 0},
	[RUN_IDLE] = {"idle", 0, 0, 0},
};

const char *run_shape_name(enum run_shape shape)
{
	return shapes[shape].name;
}

void run_shape_defaults(struct run_conf *conf)
{
	conf->load.publishers = shapes[conf->shape].publishers;
	conf->load.subscribers_each = shapes[conf->shape].subscribers_each;
	conf->load.window = shapes[conf->shape].window;
	conf->load.connects = conf->shape == RUN_CONNECTS;
	conf->load.idle = conf->shape == RUN_IDLE ? 10000 : 0;
}

/* Not longer than until the next message is due, and not at all if that is soon. */
static uint64_t patience_us(const struct run *r, uint64_t now)
{
	const uint64_t due = load_next_ns(r->load);

	if (due <= now + SPIN_NS)
		return 0;
	const uint64_t us = (due - now - SPIN_NS) / 1000;
	return us < WAIT_US ? us : WAIT_US;
}

static void turn(struct run *r)
{
	const uint64_t now = now_ns();

	load_step(r->load, now);
	if (load_give_up(r->load, now, QUIET_NS))
		r->stalls++;
	r->end->ops->turn(r->end, patience_us(r, now));
}

static void turn_for(struct run *r, uint64_t ns)
{
	const uint64_t until = now_ns() + ns;

	while (now_ns() < until)
		turn(r);
}

static bool get_ready(struct run *r)
{
	const uint64_t start = now_ns();

	while (!load_ready(r->load)) {
		turn(r);
		if (now_ns() - start > r->conf->ready_ns)
			return false;
	}
	r->ready_ns = now_ns() - start;
	return true;
}

static void drain(struct run *r)
{
	const uint64_t until = now_ns() + r->conf->drain_ns;

	load_go(r->load, false);
	while (!load_quiet(r->load) && now_ns() < until)
		turn(r);
	(void)load_give_up(r->load, now_ns(), 0);
}

static void look(const struct run_conf *conf, struct run_look *out)
{
	out->at_ns = now_ns();
	for (unsigned i = 0; i < conf->watched_count; i++)
		out->missing |= !usage_process(conf->watched[i].pid, &out->process[i]);
	if (conf->broker_core >= 0) {
		const pid_t softirqs = usage_softirq_thread((unsigned)conf->broker_core);
		out->missing |= !usage_core((unsigned)conf->broker_core, &out->core);
		if (softirqs != 0)
			out->missing |= !usage_process(softirqs, &out->softirqs);
	}
	out->missing |= !usage_process(getpid(), &out->self);
}

/* For whoever samples the broker in the same window. */
static void announce(FILE *out, const char *what)
{
	fprintf(out, "%s\n", what);
	fflush(out);
}

/* Until whoever started us has seen enough and closes our input. */
static void hold(struct run *r)
{
	struct timespec none = {0, 0};
	fd_set input;

	do {
		turn(r);
		FD_ZERO(&input);
		FD_SET(STDIN_FILENO, &input);
	} while (pselect(STDIN_FILENO + 1, &input, NULL, NULL, &none, NULL) == 0);
}

static void measure(struct run *r)
{
	load_go(r->load, true);
	turn_for(r, r->conf->warm_up_ns);
	load_measure(r->load, true);
	look(r->conf, &r->before);
	announce(r->out, "measuring");
	if (r->conf->shape == RUN_IDLE)
		hold(r);
	else
		turn_for(r, r->conf->measure_ns);
	r->counts = *load_counts(r->load);
	r->span_ns = now_ns() - r->before.at_ns;
	look(r->conf, &r->after);
	announce(r->out, "measured");
	load_measure(r->load, false);
	drain(r);
	r->counts.lost = load_counts(r->load)->lost;
	r->counts.duplicated = load_counts(r->load)->duplicated;
}

static void prepare(struct run *r)
{
	struct end_conf end = r->conf->end;

	r->load = load_create(&r->conf->load);
	load_clock(r->load, now_ns);
	end.connections = load_clients(&r->conf->load);
	end.frame_max = r->conf->load.payload_size + WIRE_OVERHEAD_MAX + WIRE_TOPIC_MAX;
	end.events = load_events(r->load);
	r->end = r->conf->memif ? end_stack_create(&end, r->conf->core) : end_kernel_create(&end);
	load_bind(r->load, r->end);
}

int run(const struct run_conf *conf, FILE *out)
{
	struct run *r = (struct run *)calloc(1, sizeof(*r));
	int code = 0;

	ASSERT(r != NULL);
	r->conf = conf;
	r->out = out;
	usage_measure_gaps(now_ns, conf->noise_ns, GAP_MIN_NS, &r->noise);
	prepare(r);
	if (conf->load.connects || get_ready(r)) {
		measure(r);
		run_report(r);
	} else {
		const struct load_counts *c = load_counts(r->load);
		fprintf(stderr,
			"generator: not all clients are connected: %" PRIu64 " were, %" PRIu64
			" were refused, %" PRIu64 " were closed\n",
			c->connected, c->refused, c->closed);
		code = 1;
	}
	r->end->ops->destroy(&r->end);
	load_destroy(&r->load);
	free(r);
	return code;
}
