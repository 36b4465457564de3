/* run_report.c - a measurement as one JSON document. See run.h. */
#include "tests/bench/json.h"
#include "tests/bench/run_internal.h"

static double per_message(const struct run *r, uint64_t us)
{
	const uint64_t n = r->conf->load.connects ? r->counts.connected : r->counts.delivered;

	return (double)us / (double)n;
}

static void write_cores(struct json *j, uint64_t cores)
{
	json_open(j, "cores", '[');
	for (unsigned i = 0; i < USAGE_CORES_MAX; i++)
		if (cores >> i & 1)
			json_count(j, NULL, i);
	json_close(j, ']');
}

static void write_process(struct json *j, const struct run *r, const char *name,
	const struct usage_process *before, const struct usage_process *after)
{
	const uint64_t us = after->cpu_us - before->cpu_us;

	json_open(j, NULL, '{');
	json_text(j, "name", name);
	json_count(j, "cpu_us", us);
	json_real(j, "us_per_message", per_message(r, us));
	json_count(j, "rss_bytes", after->rss_bytes);
	write_cores(j, before->cores | after->cores);
	json_close(j, '}');
}

static void write_processes(struct json *j, const struct run *r)
{
	json_open(j, "processes", '[');
	for (unsigned i = 0; i < r->conf->watched_count; i++)
		write_process(j, r, r->conf->watched[i].name, &r->before.process[i],
			&r->after.process[i]);
	write_process(j, r, "generator", &r->before.self, &r->after.self);
	if (r->conf->broker_core >= 0)
		write_process(j, r, "ksoftirqd", &r->before.softirqs, &r->after.softirqs);
	json_close(j, ']');
}

static void write_core(struct json *j, const struct run *r)
{
	const struct usage_core *a = &r->before.core, *b = &r->after.core;

	json_open(j, "broker_core", '{');
	json_count(j, "core", (uint64_t)r->conf->broker_core);
	json_count(j, "busy_us", b->busy_us - a->busy_us);
	json_count(j, "softirq_us", b->softirq_us - a->softirq_us);
	json_count(j, "nice_us", b->nice_us - a->nice_us);
	json_count(j, "stolen_us", b->stolen_us - a->stolen_us);
	json_close(j, '}');
}

static void write_times(struct json *j, const char *name, const struct histogram *h)
{
	static const struct {
		const char *name;
		double part;
	} parts[] = {{"p50_us", 0.5}, {"p90_us", 0.9}, {"p99_us", 0.99}, {"p99_9_us", 0.999},
		{"p99_99_us", 0.9999}, {"max_us", 1}};

	json_open(j, name, '{');
	json_count(j, "count", h->count);
	for (size_t i = 0; i < ARRAY_SIZE(parts); i++)
		json_real(j, parts[i].name, (double)histogram_quantile(h, parts[i].part) / 1000);
	json_close(j, '}');
}

static void write_conf(struct json *j, const struct run_conf *c)
{
	json_text(j, "shape", run_shape_name(c->shape));
	json_text(j, "protocol", c->load.wire->name);
	json_text(j, "back_end", c->memif ? "memif" : "kernel");
	json_text(j, "loop", c->load.rate > 0 ? "open" : "closed");
	json_count(j, "rate", c->load.rate);
	json_count(j, "publishers", c->load.publishers);
	json_count(j, "subscribers_each", c->load.subscribers_each);
	json_count(j, "idle", c->load.idle);
	json_count(j, "window", c->load.window);
	json_count(j, "qos", c->load.qos);
	json_count(j, "payload_bytes", c->load.payload_size);
}

static void write_counts(struct json *j, const struct run *r)
{
	const struct load_counts *c = &r->counts;
	const double seconds = (double)r->span_ns / 1e9;

	json_real(j, "seconds", seconds);
	json_real(j, "ready_s", (double)r->ready_ns / 1e9);
	json_real(j, "messages_per_s",
		(double)(r->conf->load.connects ? c->connected : c->delivered) / seconds);
	json_count(j, "published", c->published);
	json_count(j, "delivered", c->delivered);
	json_count(j, "connected", c->connected);
	json_count(j, "lost", c->lost);
	json_count(j, "duplicated", c->duplicated);
	json_count(j, "refused", c->refused);
	json_count(j, "closed", c->closed);
	json_count(j, "broken", c->broken);
	json_count(j, "stalls", r->stalls);
	json_text(j, "processes_missing", r->before.missing || r->after.missing ? "yes" : "no");
}

void run_report(const struct run *r)
{
	struct json j = {.to = r->out};

	json_open(&j, NULL, '{');
	write_conf(&j, r->conf);
	write_counts(&j, r);
	write_times(&j, "delay", load_delays(r->load));
	write_processes(&j, r);
	if (r->conf->broker_core >= 0)
		write_core(&j, r);
	write_times(&j, "gaps", &r->noise.gaps);
	json_real(&j, "gaps_percent", r->noise.share * 100);
	json_close(&j, '}');
	fputc('\n', r->out);
	fflush(r->out);
}
