/* connections.c - see connections.h. */
#include "mgmt/api/connections.h"

#include "dataplane/base/err.h"
#include "mgmt/api/json.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum { MAPPED_AT = 12, MAPPED_BITS = 96, STATES_TEXT_MAX = 160 };

static const uint8_t mapped[MAPPED_AT] = {[10] = 0xff, [11] = 0xff};

/* Digits only, at most `most`; NULL if it is no such number. */
static const char *read_number(const char *at, uint64_t most, uint64_t *out)
{
	const char *start = at;
	uint64_t v = 0;

	for (; *at >= '0' && *at <= '9'; at++) {
		v = v * 10 + (uint64_t)(*at - '0');
		if (v > most)
			return NULL;
	}
	*out = v;
	return at == start ? NULL : at;
}

static bool read_whole(const char *text, uint64_t least, uint64_t most, uint64_t *out)
{
	const char *end = read_number(text, most, out);

	return end != NULL && *end == '\0' && *out >= least;
}

/* WORKER-PLACE; NULL, or what follows. */
static const char *read_place(const char *at, struct ipc_inspect *out)
{
	uint64_t worker, index;

	at = read_number(at, SHM_WORKERS_MAX - 1, &worker);
	if (at == NULL || *at++ != '-')
		return NULL;
	at = read_number(at, UINT32_MAX - 1, &index);
	if (at == NULL)
		return NULL;
	out->worker = (uint32_t)worker;
	out->ask.index = (uint32_t)index;
	return at;
}

bool connections_id_read(const char *text, size_t size, struct ipc_inspect *out)
{
	uint64_t generation;

	memset(out, 0, sizeof(*out));
	const char *at = read_place(text, out);
	if (at == NULL || *at++ != '-')
		return false;
	at = read_number(at, UINT32_MAX, &generation);
	if (at == NULL || at != text + size)
		return false;
	out->ask.kind = SHM_ASK_CONNECTION;
	out->ask.limit = 1;
	out->ask.generation = (uint32_t)generation;
	return true;
}

void connections_page_init(struct connections_page *p)
{
	memset(p, 0, sizeof(*p));
	p->ask.ask.kind = SHM_ASK_CONNECTIONS;
	p->ask.ask.limit = CONNECTIONS_LIMIT;
}

/* ADDRESS or ADDRESS/BITS, IPv4 or IPv6. */
static bool read_peer(struct shm_ask *ask, const char *text)
{
	char address[INET6_ADDRSTRLEN];
	const char *slash = strchr(text, '/');
	const size_t size = slash == NULL ? strlen(text) : (size_t)(slash - text);
	uint64_t bits = 0;

	if (size >= sizeof(address))
		return false;
	memcpy(address, text, size);
	address[size] = '\0';
	const bool v4 = inet_pton(AF_INET, address, ask->peer + MAPPED_AT) == 1;
	if (v4)
		memcpy(ask->peer, mapped, sizeof(mapped));
	else if (inet_pton(AF_INET6, address, ask->peer) != 1)
		return false;
	const uint64_t most = v4 ? 32 : 128;
	if (slash != NULL && !read_whole(slash + 1, 0, most, &bits))
		return false;
	ask->peer_bits = (uint8_t)((slash == NULL ? most : bits) + (v4 ? MAPPED_BITS : 0));
	return true;
}

/* Names of RFC 9293, with commas between. */
static bool read_states(struct shm_ask *ask, const char *text)
{
	char copy[STATES_TEXT_MAX], *rest = copy;

	if (strlen(text) >= sizeof(copy))
		return false;
	memcpy(copy, text, strlen(text) + 1);
	for (char *name; (name = strsep(&rest, ",")) != NULL;) {
		const uint32_t state = tcp_state_named(name);
		if (state >= TCP_STATES)
			return false;
		ask->states |= 1u << state;
	}
	return true;
}

static bool read_worker(struct connections_page *p, const char *value)
{
	uint64_t v;

	if (p->ask.ask.index != 0 || !read_whole(value, 0, SHM_WORKERS_MAX - 1, &v))
		return false; /* a cursor says it already */
	p->ask.worker = (uint32_t)v;
	p->one_worker = true;
	return true;
}

static bool read_cursor(struct connections_page *p, const char *value)
{
	const uint32_t worker = p->ask.worker;
	const char *end = read_place(value, &p->ask);

	return end != NULL && *end == '\0' && (!p->one_worker || p->ask.worker == worker);
}

bool connections_page_read(struct connections_page *p, const char *name, const char *value)
{
	struct shm_ask *ask = &p->ask.ask;
	uint64_t v = 0;

	if (value == NULL)
		return false;
	if (strcmp(name, "state") == 0)
		return read_states(ask, value);
	if (strcmp(name, "peer") == 0)
		return read_peer(ask, value);
	if (strcmp(name, "worker") == 0)
		return read_worker(p, value);
	if (strcmp(name, "cursor") == 0)
		return read_cursor(p, value);
	bool good = false;
	if (strcmp(name, "limit") == 0) {
		good = read_whole(value, 1, SHM_CONNECTIONS_MAX, &v);
		ask->limit = (uint32_t)v;
	} else if (strcmp(name, "peer_port") == 0) {
		good = read_whole(value, 1, UINT16_MAX, &v);
		ask->peer_port = (uint16_t)v;
	} else if (strcmp(name, "local_port") == 0) {
		good = read_whole(value, 1, UINT16_MAX, &v);
		ask->local_port = (uint16_t)v;
	}
	return good;
}

static json_t *address(const uint8_t bytes[16], uint16_t port)
{
	char text[INET6_ADDRSTRLEN];
	const bool v4 = memcmp(bytes, mapped, sizeof(mapped)) == 0;

	inet_ntop(v4 ? AF_INET : AF_INET6, v4 ? bytes + MAPPED_AT : bytes, text, sizeof(text));
	return json_pack("{s:s, s:i}", "address", text, "port", (int)port);
}

/* What was cut may end within a character. */
static json_t *client_id(const struct shm_connection_facts *f)
{
	size_t size =
		f->client_id_size < sizeof(f->client_id) ? f->client_id_size : sizeof(f->client_id);

	for (unsigned tries = 0; size > 0 && tries < 4; tries++, size--) {
		json_t *text = json_stringn((const char *)f->client_id, size);
		if (text != NULL)
			return text;
	}
	return json_null();
}

static json_t *flags(uint32_t set)
{
	static const struct {
		uint32_t flag;
		const char *name;
	} rows[] = {{TCP_FACTS_TIMESTAMPS, "timestamps"}, {TCP_FACTS_SACK, "sack"},
		{TCP_FACTS_WSCALE, "window_scale"}, {TCP_FACTS_PASSIVE, "passive"},
		{TCP_FACTS_RECOVERY, "fast_recovery"}, {TCP_FACTS_PERSIST, "persist"},
		{TCP_FACTS_CWND_LIMITED, "cwnd_limited"}, {TCP_FACTS_FIN_QUEUED, "fin_queued"},
		{TCP_FACTS_FIN_RECEIVED, "fin_received"}};
	json_t *out = json_array();

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if ((set & rows[i].flag) != 0)
			json_array_append_new(out, json_string(rows[i].name));
	return out;
}

static void put(json_t *to, const char *name, uint64_t value)
{
	json_object_set_new(to, name, json_count(value));
}

static void put_numbers(json_t *to, const struct tcp_facts *t)
{
	put(to, "rtt_us", t->srtt_us);
	put(to, "rtt_variance_us", t->rttvar_us);
	put(to, "rto_us", t->rto_us);
	put(to, "backoff", t->backoff);
	put(to, "cwnd", t->cwnd);
	put(to, "ssthresh", t->ssthresh);
	put(to, "in_flight", t->in_flight);
	put(to, "unacked", t->unacked);
	put(to, "send_window", t->snd_wnd);
	put(to, "receive_window", t->rcv_wnd);
	put(to, "send_window_scale", t->snd_wscale);
	put(to, "receive_window_scale", t->rcv_wscale);
	put(to, "mss", t->mss);
	put(to, "duplicate_acks", t->dupacks);
	put(to, "retransmits", t->retransmits);
	put(to, "send_queued", t->send_queued);
	put(to, "receive_queued", t->recv_queued);
	put(to, "out_of_order_buffers", t->ahead_buffers);
	put(to, "bytes_in", t->bytes_in);
	put(to, "bytes_out", t->bytes_out);
	put(to, "silent_ms", t->silent_us / 1000);
}

json_t *connections_report_one(uint32_t worker, const uint8_t *record)
{
	struct shm_connection_facts f;
	char id[40];

	memcpy(&f, record, sizeof(f));
	snprintf(id, sizeof(id), "%" PRIu32 "-%" PRIu32 "-%" PRIu32, worker, f.tcp.index,
		f.tcp.generation);
	const char *state = tcp_state_name(f.tcp.state);
	json_t *out = json_object();
	json_object_set_new(out, "id", json_string(id));
	put(out, "worker", worker);
	json_object_set_new(out, "state", json_string(state == NULL ? "unknown" : state));
	json_object_set_new(out, "peer", address(f.tcp.peer, f.tcp.peer_port));
	json_object_set_new(out, "local", address(f.tcp.local, f.tcp.local_port));
	json_object_set_new(out, "client_id", client_id(&f));
	json_object_set_new(out, "flags", flags(f.tcp.flags));
	put_numbers(out, &f.tcp);
	return out;
}

/* Where the next page begins: here, at the next worker, or nowhere. */
static json_t *next_cursor(
	const struct connections_page *p, uint32_t workers, const struct shm_answer_head *head)
{
	const bool more = head->next != SHM_ASK_END;
	const uint32_t worker = p->ask.worker + (more ? 0 : 1);
	char text[32];

	if (!more && (p->one_worker || worker >= workers))
		return json_null();
	snprintf(text, sizeof(text), "%" PRIu32 "-%" PRIu32, worker, more ? head->next : 0);
	return json_string(text);
}

json_t *connections_report(const struct connections_page *p, uint32_t workers,
	const struct shm_answer_head *head, const uint8_t *records)
{
	json_t *list = json_array();

	for (uint32_t i = 0; i < head->count; i++)
		json_array_append_new(
			list, connections_report_one(p->ask.worker,
				      records + i * shm_record_bytes(SHM_ASK_CONNECTIONS)));
	return json_pack("{s:o, s:o}", "connections", list, "next", next_cursor(p, workers, head));
}

static void write_flags(unsigned set, char *to, size_t size)
{
	static const char *const names[] = {"FIN", "SYN", "RST", "PSH", "ACK", "URG", "ECE", "CWR"};
	size_t used = 0;

	to[0] = '\0';
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if ((set & 1u << i) != 0 && used < size)
			used += (size_t)snprintf(
				to + used, size - used, "%s%s", used == 0 ? "" : " ", names[i]);
}

/* What the argument says, after the row's text. */
static void write_argument(const struct tcp_happened *e, char *to, size_t size)
{
	const char *kind = tcp_what_argument(e->what);

	if (kind == NULL) {
		to[0] = '\0';
	} else if (strcmp(kind, "state") == 0) {
		const char *name = tcp_state_name(e->argument);
		snprintf(to, size, ": %s", name == NULL ? "unknown" : name);
	} else if (strcmp(kind, "flags") == 0) {
		to[0] = ':';
		to[1] = ' ';
		write_flags(e->argument, to + 2, size - 2);
	} else if (strcmp(kind, "error") == 0) {
		snprintf(to, size, ": %s",
			e->argument < ERR_COUNT ? err_text((enum err)e->argument) : "unknown");
	} else {
		snprintf(to, size, ": %u %s", e->argument, kind);
	}
}

static json_t *event(const struct tcp_happened *e, uint64_t now_us)
{
	const char *name = tcp_what_name(e->what);
	char argument[96], text[192];

	write_argument(e, argument, sizeof(argument));
	snprintf(text, sizeof(text), "%s%s", name == NULL ? "unknown" : tcp_what_text(e->what),
		argument);
	return json_pack("{s:o, s:s, s:i, s:s}", "ago_us",
		json_count(now_us > e->at_us ? now_us - e->at_us : 0), "what",
		name == NULL ? "UNKNOWN" : name, "argument", (int)e->argument, "text", text);
}

json_t *connections_report_events(const struct shm_answer_head *head, const uint8_t *records)
{
	json_t *list = json_array();

	for (uint32_t i = head->count; i-- > 0;) {
		struct tcp_happened e;
		memcpy(&e, records + i * sizeof(e), sizeof(e));
		json_array_append_new(list, event(&e, head->now_us));
	}
	return json_pack("{s:o, s:b}", "events", list, "cut", head->count >= CONNECTIONS_EVENTS);
}
