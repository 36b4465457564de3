/* main.c - signalbox-ctl: asks a running control plane over its local socket.
 *
 * Prints one "name: value" a line, or a table of sessions. Client ids come from
 * peers: what is no plain character is shown as a dot. */
#include "controlplane/ipc/client.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { PATIENCE_MS = 5000, EXIT_USAGE = 2, BEAT_FRESH_US = 1000000 };

static const char usage[] =
	"Usage: signalbox-ctl --socket PATH COMMAND\n"
	"\n"
	"  facts          facts about the running box, one \"name: value\" a line\n"
	"  sessions       who is connected\n"
	"  impair SPEC    "
	"loss=5%,delay=20ms,jitter=1ms,reorder=1%,duplicate=1%,corrupt=0.1%,seed=7\n"
	"                 in any choice, or off\n"
	"  reset-nic      opens the NIC again, under the connections\n"
	"\n"
	"Exit code: 0 done, 1 the control plane refused or does not answer, 2 usage.\n";

static struct ipc_reply reply;

static bool ask(int fd, const struct ipc_request *request)
{
	if (!ipc_ask(fd, request, &reply)) {
		fprintf(stderr, "signalbox-ctl: the control plane does not answer: %s\n",
			strerror(errno));
		return false;
	}
	if (reply.type == IPC_REFUSED) {
		fprintf(stderr, "signalbox-ctl: %s\n", reply.text);
		return false;
	}
	return true;
}

static void print_address(uint32_t network)
{
	uint8_t b[4];

	memcpy(b, &network, sizeof(b));
	printf("%u.%u.%u.%u", b[0], b[1], b[2], b[3]);
}

static int print_facts(int fd)
{
	const struct ipc_request request = {.type = IPC_GET_FACTS};

	if (!ask(fd, &request))
		return EXIT_FAILURE;
	const struct ipc_facts *f = &reply.facts;
	const bool fresh = f->dp_beat_age_us < BEAT_FRESH_US;
	printf("ready: %s\n", f->dp_ready != 0 && fresh ? "yes" : "no");
	printf("workers: %u\n", f->workers);
	printf("sessions: %u\nsessions_max: %u\n", f->sessions, f->sessions_max);
	printf("controlplane_generation: %llu\n", (unsigned long long)f->generation);
	printf("controlplane_uptime_ms: %llu\n", (unsigned long long)f->uptime_us / 1000);
	printf("dataplane_generation: %llu\n", (unsigned long long)f->dp_generation);
	printf("dataplane_pid: %u\n", f->dp_pid);
	if (f->dp_beat_age_us == UINT64_MAX)
		printf("dataplane_heard: never\n");
	else
		printf("dataplane_heard_ms_ago: %llu\n",
			(unsigned long long)f->dp_beat_age_us / 1000);
	printf("nic: %s\ninterface: %s\naddress: ", f->config.nic, f->config.interface);
	print_address(f->config.address);
	printf("\nmqtt_port: %u\n", f->config.mqtt_port);
	printf("impair: %s\n", f->impair);
	printf("durability: %s\nstored_sessions: %llu\n", f->config.durability,
		(unsigned long long)f->store.sessions);
	printf("store_unsynced: %llu\nstore_bytes: %llu\n", (unsigned long long)f->store.unsynced,
		(unsigned long long)f->store.disk_bytes);
	return EXIT_SUCCESS;
}

static void print_session(const struct ipc_session *s)
{
	char id[IPC_CLIENT_ID_SHOWN + 1];
	uint32_t n = 0;

	for (; n < s->client_id_size && n < IPC_CLIENT_ID_SHOWN; n++)
		id[n] = s->client_id[n] > ' ' && s->client_id[n] <= '~' ? (char)s->client_id[n]
									: '.';
	id[n] = '\0';
	printf("%-24s%s worker %u, ", id, n < s->client_id_size ? "..." : "", s->worker);
	print_address(s->address);
	printf(":%u, %llu s%s\n", s->port, (unsigned long long)s->age_us / 1000000,
		s->revoking ? ", being taken over" : "");
}

static int print_sessions(int fd)
{
	struct ipc_request request = {
		.type = IPC_LIST_SESSIONS, .list = {.limit = IPC_SESSIONS_MAX}};

	do {
		if (!ask(fd, &request))
			return EXIT_FAILURE;
		for (uint32_t i = 0; i < reply.page.count; i++)
			print_session(&reply.sessions[i]);
		request.list.cursor = reply.page.cursor;
	} while (request.list.cursor != 0);
	return EXIT_SUCCESS;
}

static int impair(int fd, const char *spec)
{
	struct ipc_request request = {.type = IPC_SET_IMPAIR};

	if (strlen(spec) >= sizeof(request.text)) {
		fprintf(stderr, "signalbox-ctl: the impairment is too long\n");
		return EXIT_USAGE;
	}
	snprintf(request.text, sizeof(request.text), "%s", spec);
	return ask(fd, &request) ? EXIT_SUCCESS : EXIT_FAILURE;
}

static int reset_nic(int fd)
{
	const struct ipc_request request = {.type = IPC_RESET_NIC};

	return ask(fd, &request) ? EXIT_SUCCESS : EXIT_FAILURE;
}

static int run(const char *path, int argc, char **argv)
{
	const bool one = argc == 1;
	const int fd = ipc_connect(path, PATIENCE_MS);
	int code = EXIT_USAGE;

	if (fd < 0) {
		fprintf(stderr, "signalbox-ctl: %s: %s\n", path, strerror(errno));
		return EXIT_FAILURE;
	}
	if (one && strcmp(argv[0], "facts") == 0)
		code = print_facts(fd);
	else if (one && strcmp(argv[0], "sessions") == 0)
		code = print_sessions(fd);
	else if (argc == 2 && strcmp(argv[0], "impair") == 0)
		code = impair(fd, argv[1]);
	else if (one && strcmp(argv[0], "reset-nic") == 0)
		code = reset_nic(fd);
	else
		fputs(usage, stderr);
	close(fd);
	return code;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {{"socket", required_argument, NULL, 's'},
		{"help", no_argument, NULL, 'h'}, {NULL, 0, NULL, 0}};
	const char *path = NULL;

	for (int c; (c = getopt_long(argc, argv, "+", options, NULL)) != -1;) {
		if (c == 'h')
			return fputs(usage, stdout) < 0;
		if (c != 's')
			return EXIT_USAGE;
		path = optarg;
	}
	if (path == NULL || optind >= argc) {
		fputs(usage, stderr);
		return EXIT_USAGE;
	}
	return run(path, argc - optind, argv + optind);
}
