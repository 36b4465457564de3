/* generator.c - clients of a broker in numbers, and what the broker made of them.
 *
 *	generator --to ADDRESS:PORT [OPTION]...
 *
 * Prints "measuring" and "measured" around the measured time, and then one JSON document. Options
 * as in `usage` below. Not a test: tests/bench/compare and people start it. Not here: what is
 * done (run.h), brokers, namespaces. */
#include "tests/bench/run.h"

#include <errno.h>
#include <getopt.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

enum { SECOND_NS = 1000000000, DESCRIPTORS_BESIDE = 64 };

static const char usage[] =
	"usage: generator --to ADDRESS:PORT [OPTION]...\n"
	"\n"
	"  --shape NAME          fan_out, pipelined, one_in_flight, connects or idle (pipelined)\n"
	"  --protocol NAME       mqtt (3.1.1) or nats (mqtt)\n"
	"  --publishers N        publishers; of connects: clients that come and go\n"
	"  --subscribers N       subscribers of each publisher\n"
	"  --idle N              clients that subscribe and are silent\n"
	"  --window N            messages under way of each publisher, in a closed loop\n"
	"  --rate N              messages published a second, all together: an open loop\n"
	"  --qos N               0, 1 or 2 (0)\n"
	"  --payload BYTES       at least 16 (64)\n"
	"  --warm-up SECONDS     before measuring (1)\n"
	"  --seconds SECONDS     measured (5); idle: until the input ends\n"
	"  --opening N           connections that are being made at once (64)\n"
	"  --memif SOCKET        by our own TCP over the box's memif, not by the kernel's\n"
	"  --own-address A.B.C.D with --memif: ours on that link (198.18.0.1)\n"
	"  --core N              where to run\n"
	"  --broker-core N       whose softirqs and busy time to report\n"
	"  --watch NAME=PID      a process whose CPU time to report; several\n"
	"  --noise SECONDS       first, read the clock in an empty loop (0.2)\n";

__attribute__((noreturn)) static void refuse(const char *what, const char *value)
{
	fprintf(stderr, "generator: %s%s%s\n%s", what, value == NULL ? "" : " ",
		value == NULL ? "" : value, usage);
	exit(2);
}

static uint64_t number(const char *text, uint64_t max)
{
	char *end;

	errno = 0;
	const uint64_t n = strtoull(text, &end, 10);
	if (errno != 0 || end == text || *end != '\0' || text[0] == '-' || n > max)
		refuse("not a number, or too large:", text);
	return n;
}

static uint64_t seconds_ns(const char *text)
{
	char *end;
	const double s = strtod(text, &end);

	if (end == text || *end != '\0' || !(s >= 0 && s <= 86400))
		refuse("not a time in seconds:", text);
	return (uint64_t)(s * SECOND_NS);
}

static void read_address(struct run_conf *c, const char *text)
{
	const char *colon = strrchr(text, ':');

	if (colon == NULL || (size_t)(colon - text) >= sizeof(c->end.address))
		refuse("--to wants ADDRESS:PORT, not", text);
	memcpy(c->end.address, text, (size_t)(colon - text));
	c->end.port = (uint16_t)number(colon + 1, UINT16_MAX);
}

static void read_text(char *to, size_t size, const char *text)
{
	if (strlen(text) >= size)
		refuse("too long:", text);
	memcpy(to, text, strlen(text) + 1);
}

static void read_watched(struct run_conf *c, const char *text)
{
	const char *equals = strchr(text, '=');
	struct run_watched *w = &c->watched[c->watched_count];

	if (equals == NULL || (size_t)(equals - text) >= sizeof(w->name) ||
		c->watched_count == RUN_WATCHED_MAX)
		refuse("--watch wants NAME=PID, at most eight times, not", text);
	memcpy(w->name, text, (size_t)(equals - text));
	w->pid = (pid_t)number(equals + 1, INT32_MAX);
	c->watched_count++;
}

static void read_shape(struct run_conf *c, const char *name)
{
	for (unsigned i = 0; i < RUN_SHAPES; i++)
		if (strcmp(run_shape_name((enum run_shape)i), name) == 0) {
			c->shape = (enum run_shape)i;
			run_shape_defaults(c);
			return;
		}
	refuse("no such shape:", name);
}

static void read_protocol(struct run_conf *c, const char *name)
{
	c->load.wire = wire_of(name);
	if (c->load.wire == NULL)
		refuse("no such protocol:", name);
}

static void read_option(struct run_conf *c, int option, const char *value)
{
	switch (option) {
	case 't':
		read_address(c, value);
		break;
	case 'P':
		read_protocol(c, value);
		break;
	case 'p':
		c->load.publishers = (uint32_t)number(value, 1000000);
		break;
	case 's':
		c->load.subscribers_each = (uint32_t)number(value, 1000000);
		break;
	case 'i':
		c->load.idle = (uint32_t)number(value, 1000000);
		break;
	case 'w':
		c->load.window = (uint32_t)number(value, 60000);
		break;
	case 'r':
		c->load.rate = number(value, 1000000000);
		break;
	case 'q':
		c->load.qos = (uint8_t)number(value, 2);
		break;
	case 'b':
		c->load.payload_size = (uint32_t)number(value, 16 << 20);
		break;
	case 'u':
		c->warm_up_ns = seconds_ns(value);
		break;
	case 'd':
		c->measure_ns = seconds_ns(value);
		break;
	case 'o':
		c->load.opening_max = (uint32_t)number(value, 100000);
		break;
	case 'c':
		c->core = (int)number(value, CPU_SETSIZE - 1);
		break;
	case 'C':
		c->broker_core = (int)number(value, USAGE_CORES_MAX - 1);
		break;
	case 'W':
		read_watched(c, value);
		break;
	case 'm':
		read_text(c->end.memif, sizeof(c->end.memif), value);
		c->memif = true;
		break;
	case 'a':
		read_text(c->end.own_address, sizeof(c->end.own_address), value);
		break;
	case 'n':
		c->noise_ns = seconds_ns(value);
		break;
	default:
		refuse("unknown option", NULL);
	}
}

static void parse(struct run_conf *c, int argc, char **argv)
{
	static const struct option options[] = {{"to", 1, NULL, 't'}, {"shape", 1, NULL, 'S'},
		{"protocol", 1, NULL, 'P'}, {"publishers", 1, NULL, 'p'},
		{"subscribers", 1, NULL, 's'}, {"idle", 1, NULL, 'i'}, {"window", 1, NULL, 'w'},
		{"rate", 1, NULL, 'r'}, {"qos", 1, NULL, 'q'}, {"payload", 1, NULL, 'b'},
		{"warm-up", 1, NULL, 'u'}, {"seconds", 1, NULL, 'd'}, {"opening", 1, NULL, 'o'},
		{"core", 1, NULL, 'c'}, {"broker-core", 1, NULL, 'C'}, {"watch", 1, NULL, 'W'},
		{"memif", 1, NULL, 'm'}, {"own-address", 1, NULL, 'a'}, {"noise", 1, NULL, 'n'},
		{NULL, 0, NULL, 0}};
	int o;

	/* The shape first: it is what the others change. */
	while ((o = getopt_long(argc, argv, "", options, NULL)) != -1)
		if (o == 'S')
			read_shape(c, optarg);
	optind = 1;
	while ((o = getopt_long(argc, argv, "", options, NULL)) != -1)
		if (o != 'S')
			read_option(c, o, optarg);
	if (c->end.port == 0 || optind != argc)
		refuse("--to ADDRESS:PORT is needed, and nothing but options", NULL);
	if (c->load.payload_size < LOAD_PAYLOAD_MIN || c->load.qos > c->load.wire->qos_max)
		refuse("a payload has at least 16 bytes, and NATS has QoS 0 only", NULL);
	if (load_clients(&c->load) == 0 ||
		(c->load.publishers > 0 && !c->load.connects && c->load.subscribers_each == 0))
		refuse("nobody would hear anything", NULL);
}

static void stay_on(int core)
{
	cpu_set_t set;

	if (core < 0)
		return;
	CPU_ZERO(&set);
	CPU_SET(core, &set);
	if (sched_setaffinity(0, sizeof(set), &set) != 0)
		refuse("--core: this machine has no such core", NULL);
}

static void allow_descriptors(const struct run_conf *c)
{
	const rlim_t wanted = load_clients(&c->load) + DESCRIPTORS_BESIDE;
	struct rlimit limit;

	(void)getrlimit(RLIMIT_NOFILE, &limit);
	if (limit.rlim_cur >= wanted || c->memif)
		return;
	limit.rlim_cur = wanted;
	if (limit.rlim_max < wanted)
		limit.rlim_max = wanted;
	if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
		refuse("so many connections need more file descriptors: run as root", NULL);
}

int main(int argc, char **argv)
{
	struct run_conf c = {.shape = RUN_PIPELINED,
		.end = {.own_address = "198.18.0.1"},
		.load = {.wire = &wire_mqtt,
			.name = "bench",
			.payload_size = 64,
			.opening_max = 64},
		.ready_ns = 60ull * SECOND_NS,
		.warm_up_ns = SECOND_NS,
		.measure_ns = 5ull * SECOND_NS,
		.drain_ns = 10ull * SECOND_NS,
		.noise_ns = SECOND_NS / 5,
		.core = -1,
		.broker_core = -1};

	run_shape_defaults(&c);
	parse(&c, argc, argv);
	stay_on(c.core);
	allow_descriptors(&c);
	signal(SIGPIPE, SIG_IGN);
	return run(&c, stdout);
}
