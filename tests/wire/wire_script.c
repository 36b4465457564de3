/* wire_script.c - see wire_script.h. */
#include "tests/wire/wire_script.h"

#include "tests/wire/wire_icmp.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { WORDS = 40, LINE = 512, PAYLOAD = 1600, ACTIVE_PORT = 2000, TIME_SLACK_US = 1001 };

struct script {
	struct rig *rig;
	struct rig_conf conf;
	bool opened;
	uint32_t peer_isn, our_isn;
	bool have_our_isn;
	int64_t want_isn; /* -1: any */
	uint32_t ts_base; /* our timestamp at script time 0 */
	bool have_ts;
	uint16_t local_port, peer_port;
	struct tcp_id id;
	uint32_t read_at, written;
	int line, depth;
	char *why;
	char *words[WORDS], buffer[LINE];
	unsigned word_count;
};

__attribute__((format(printf, 2, 3))) static bool fail(struct script *s, const char *format, ...)
{
	va_list args;
	int n = snprintf(s->why, SCRIPT_WHY, "line %d: ", s->line);

	va_start(args, format);
	vsnprintf(s->why + n, SCRIPT_WHY - (size_t)n, format, args);
	va_end(args);
	return false;
}

static uint8_t stream_byte(uint32_t k)
{
	return (uint8_t)(k * 31 + (k >> 8));
}

static bool parse_time(const char *text, uint64_t *out_us)
{
	char *unit;
	const double value = strtod(text, &unit);

	if (strcmp(unit, "us") == 0)
		*out_us = (uint64_t)(value + 0.5);
	else if (strcmp(unit, "ms") == 0)
		*out_us = (uint64_t)(value * 1000 + 0.5);
	else if (strcmp(unit, "s") == 0)
		*out_us = (uint64_t)(value * 1000000 + 0.5);
	else
		return false;
	return true;
}

/* The value of a word "name=value"; NULL if it is another word. */
static const char *value_of(const char *word, const char *name)
{
	const size_t size = strlen(name);

	return strncmp(word, name, size) == 0 && word[size] == '=' ? word + size + 1 : NULL;
}

static bool conf_word(struct script *s, const char *word)
{
	struct rig_conf *c = &s->conf;
	const struct {
		const char *name;
		uint32_t *to;
	} numbers[] = {{"window", &c->window}, {"send_queue", &c->send_queue}, {"nodes", &c->nodes},
		{"backlog", &c->backlog}, {"half_open", &c->half_open},
		{"connections", &c->connections}, {"time_waits", &c->time_waits},
		{"headers", &c->headers}, {"copies", &c->copies}, {"held", &c->held},
		{"probes", &c->probes}, {"peer_isn", &s->peer_isn}};
	const struct {
		const char *name;
		uint64_t *to;
	} times[] = {{"keepalive", &c->keepalive_us}, {"interval", &c->interval_us},
		{"user_timeout", &c->user_timeout_us}, {"time_wait", &c->time_wait_us}};
	const char *value;

	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++)
		if ((value = value_of(word, numbers[i].name)) != NULL) {
			*numbers[i].to = (uint32_t)strtoul(value, NULL, 0);
			return true;
		}
	for (size_t i = 0; i < ARRAY_SIZE(times); i++)
		if ((value = value_of(word, times[i].name)) != NULL)
			return parse_time(value, times[i].to);
	if ((value = value_of(word, "mtu")) != NULL)
		c->mtu = (uint16_t)strtoul(value, NULL, 0);
	else if ((value = value_of(word, "segs")) != NULL)
		c->segs_max = (uint16_t)strtoul(value, NULL, 0);
	else if ((value = value_of(word, "congestion")) != NULL)
		c->congestion = tcp_congestion_named(value);
	else if ((value = value_of(word, "our_isn")) != NULL)
		s->want_isn = (int64_t)strtoul(value, NULL, 0);
	else
		return false;
	return true;
}

static bool do_conf(struct script *s)
{
	for (unsigned i = 1; i < s->word_count; i++)
		if (!conf_word(s, s->words[i]))
			return fail(s, "no such setting: %s", s->words[i]);
	return true;
}

/* The ISN we would get now for this way of opening. */
static uint32_t find_isn(struct script *s, bool active)
{
	struct rig_inject syn = {.h = {.src_port = RIG_PEER_PORT,
					 .dst_port = RIG_PORT,
					 .flags = TCP_SYN,
					 .window = 1000}};
	struct tcp_id id;

	s->rig = rig_open(&s->conf);
	if (active) {
		ASSERT(tcp_connect(s->rig->tcp, rte_cpu_to_be_32(RIG_PEER), RIG_PORT, ACTIVE_PORT,
			       0, &id, s->rig->now_us) == ERR_NONE);
	} else {
		ASSERT(tcp_listen(s->rig->tcp, 0, RIG_PORT, 1) == ERR_NONE);
		rig_inject(s->rig, &syn);
	}
	rig_turn(s->rig);
	const uint32_t isn = rig_next(s->rig)->h.seq;
	rig_close(s->rig);
	return isn;
}

/* Opens the stack; at a time that makes our ISN the wanted one, if one is. */
static void open_rig(struct script *s, bool active)
{
	if (s->opened)
		return;
	if (s->want_isn >= 0)
		s->conf.start_us += 4ull * ((uint32_t)s->want_isn - find_isn(s, active));
	s->rig = rig_open(&s->conf);
	s->opened = true;
}

static bool do_listen(struct script *s)
{
	open_rig(s, false);
	s->local_port = RIG_PORT;
	s->peer_port = RIG_PEER_PORT;
	if (tcp_listen(s->rig->tcp, 0, RIG_PORT, s->conf.backlog) != ERR_NONE)
		return fail(s, "listen refused");
	return true;
}

static bool do_connect(struct script *s)
{
	open_rig(s, true);
	s->local_port = ACTIVE_PORT;
	s->peer_port = RIG_PORT;
	const enum err e = tcp_connect(s->rig->tcp, rte_cpu_to_be_32(RIG_PEER), RIG_PORT,
		ACTIVE_PORT, 0, &s->id, s->rig->now_us);
	if (e != ERR_NONE)
		return fail(s, "connect refused: %s", err_name(e));
	rig_turn(s->rig);
	return true;
}

static const struct {
	char letter;
	uint8_t flag;
} letters[] = {{'F', TCP_FIN}, {'S', TCP_SYN}, {'R', TCP_RST}, {'P', TCP_PSH}, {'.', TCP_ACK},
	{'U', TCP_URG}};

static bool parse_flags(const char *text, uint8_t *out)
{
	*out = 0;
	if (strcmp(text, "-") == 0)
		return true;
	for (; *text != 0; text++) {
		uint8_t flag = 0;
		for (size_t i = 0; i < ARRAY_SIZE(letters); i++)
			if (letters[i].letter == *text)
				flag = letters[i].flag;
		if (flag == 0)
			return false;
		*out |= flag;
	}
	return true;
}

static void print_flags(uint8_t flags, char out[8])
{
	for (size_t i = 0; i < ARRAY_SIZE(letters); i++)
		if ((flags & letters[i].flag) != 0)
			*out++ = letters[i].letter;
	*out = 0;
}

/* A segment line, either way. */
struct line {
	struct rig_inject in;
	uint8_t raw[40];
	uint32_t seq, end, ack; /* relative */
	bool any, has_ack, has_window, has_options, no_sack, has_time, bad_bytes;
	bool ts_given, mss_given, ws_given, sackok_given;
	uint32_t tsval, tsecr;
	uint64_t at_us;
	uint16_t port, local_port;
};

static uint32_t number(const char *text)
{
	return (uint32_t)strtoll(text, NULL, 0);
}

static void parse_raw(struct line *l, const char *hex)
{
	size_t size = 0;

	for (; hex[0] != 0 && hex[1] != 0 && size < sizeof(l->raw); hex += 2) {
		const char pair[3] = {hex[0], hex[1], 0};
		l->raw[size++] = (uint8_t)strtoul(pair, NULL, 16);
	}
	l->in.options = span_of(l->raw, size);
}

/* One option, from word *i on. */
static bool parse_option(struct script *s, struct line *l, unsigned *i, uint32_t sack_isn)
{
	struct tcp_options *o = &l->in.h.options;
	char **w = s->words;

	if (strcmp(w[*i], "mss") == 0) {
		o->mss = (uint16_t)number(w[++*i]);
		l->mss_given = true;
	} else if (strcmp(w[*i], "ws") == 0) {
		o->has_wscale = l->ws_given = true;
		o->wscale = (uint8_t)number(w[++*i]);
	} else if (strcmp(w[*i], "sackok") == 0) {
		o->sack_permitted = l->sackok_given = true;
	} else if (strcmp(w[*i], "nosack") == 0) {
		l->no_sack = true;
	} else if (strcmp(w[*i], "ts") == 0) {
		o->has_timestamps = l->ts_given = true;
		l->tsval = number(w[++*i]);
		l->tsecr = number(w[++*i]);
	} else if (strcmp(w[*i], "raw") == 0) {
		parse_raw(l, w[++*i]);
	} else if (strcmp(w[*i], "sack") == 0) {
		while (*i + 1 < s->word_count && strchr(w[*i + 1], ':') != NULL) {
			char *colon = strchr(w[++*i], ':');
			o->sack[o->sack_count++] = (struct tcp_range){
				sack_isn + number(w[*i]), sack_isn + number(colon + 1)};
		}
	} else {
		return fail(s, "no such option: %s", w[*i]);
	}
	return true;
}

static bool parse_word(struct script *s, struct line *l, unsigned *i, uint32_t sack_isn)
{
	char **w = s->words;
	const char *value;

	if (strcmp(w[*i], "ack") == 0) {
		l->has_ack = true;
		l->ack = number(w[++*i]);
	} else if (strcmp(w[*i], "win") == 0) {
		l->has_window = true;
		l->in.h.window = (uint16_t)number(w[++*i]);
	} else if (strcmp(w[*i], "at") == 0) {
		l->has_time = true;
		return parse_time(w[++*i], &l->at_us) || fail(s, "bad time");
	} else if (strcmp(w[*i], "<>") == 0) {
		l->has_options = true;
	} else if (w[*i][0] == '<') {
		l->has_options = true;
		while (w[*i][0] == '<' || strcmp(w[*i], ">") != 0)
			if (w[*i][0] == '<')
				++*i;
			else if (!parse_option(s, l, i, sack_isn))
				return false;
			else
				++*i;
	} else if (strcmp(w[*i], "badsum") == 0) {
		l->in.bad_checksum = true;
	} else if (strcmp(w[*i], "badbytes") == 0) {
		l->bad_bytes = true;
	} else if ((value = value_of(w[*i], "sport")) != NULL ||
		   (value = value_of(w[*i], "dport")) != NULL) {
		l->port = (uint16_t)number(value);
	} else if ((value = value_of(w[*i], "lport")) != NULL) {
		l->local_port = (uint16_t)number(value);
	} else if ((value = value_of(w[*i], "off")) != NULL) {
		l->in.offset = (uint8_t)number(value);
	} else if ((value = value_of(w[*i], "urg")) != NULL) {
		l->in.urgent = (uint16_t)number(value);
	} else {
		return fail(s, "no such word: %s", w[*i]);
	}
	return true;
}

static bool parse_line(struct script *s, struct line *l, uint32_t sack_isn)
{
	*l = (struct line){
		.port = s->peer_port, .local_port = s->local_port, .in = {.h = {.window = 65535}}};
	if (s->word_count >= 2 && strcmp(s->words[1], "*") == 0) {
		l->any = true;
		return true;
	}
	if (s->word_count < 3 || !parse_flags(s->words[1], &l->in.h.flags))
		return fail(s, "FLAGS and SEQ wanted");
	const char *colon = strchr(s->words[2], ':');
	l->seq = number(s->words[2]);
	l->end = colon == NULL ? l->seq : number(colon + 1);
	for (unsigned i = 3; i < s->word_count; i++)
		if (!parse_word(s, l, &i, sack_isn))
			return false;
	return true;
}

static bool do_inject(struct script *s)
{
	static uint8_t payload[PAYLOAD];
	struct line l;

	if (!parse_line(s, &l, s->our_isn))
		return false;
	const uint32_t size = l.end - l.seq;
	if (size > sizeof(payload))
		return fail(s, "too long");
	for (uint32_t i = 0; i < size; i++)
		payload[i] = stream_byte(l.seq - 1 + i) ^ (l.bad_bytes ? 0xff : 0);
	struct rig_inject *in = &l.in;
	in->payload = span_of(payload, size);
	in->h.src_port = l.port;
	in->h.dst_port = l.local_port;
	in->h.seq = s->peer_isn + l.seq;
	in->h.ack = (in->h.flags & TCP_ACK) != 0 || l.has_ack ? s->our_isn + l.ack : 0;
	if (l.ts_given) {
		in->h.options.tsval = l.tsval;
		in->h.options.tsecr = s->have_ts ? s->ts_base + l.tsecr : l.tsecr;
	}
	rig_inject(s->rig, in);
	rig_turn(s->rig);
	return true;
}

static bool do_icmp(struct script *s)
{
	struct icmp_line l = {s->our_isn, .src_port = s->local_port, .dst_port = s->peer_port};

	if (!icmp_line_parse(&l, s->words + 1, s->word_count - 1))
		return fail(s, "see wire_icmp.h");
	icmp_line_send(s->rig, &l);
	rig_turn(s->rig);
	return true;
}

/* Learns our ISN and the base of our timestamps from the first SYN. */
static void learn(struct script *s, const struct rig_segment *g)
{
	if ((g->h.flags & TCP_SYN) != 0)
		s->our_isn = g->h.seq;
	if (!s->have_ts && g->h.options.has_timestamps) {
		s->have_ts = true;
		s->ts_base = g->h.options.tsval - (uint32_t)((g->at_us - s->conf.start_us) / 1000);
	}
}

static bool check_options(struct script *s, const struct line *l, const struct rig_segment *g)
{
	const struct tcp_options *want = &l->in.h.options;
	const struct tcp_options *got = &g->h.options;

	if (!l->has_options)
		return true;
	if (l->mss_given ? want->mss != got->mss : (g->h.flags & TCP_SYN) != 0 && got->mss == 0)
		return fail(s, "mss is %u", got->mss);
	if (want->has_wscale != got->has_wscale || want->wscale != got->wscale)
		return fail(s, "window scale is %d %u", got->has_wscale, got->wscale);
	if (want->sack_permitted != got->sack_permitted)
		return fail(s, "sackok is %d", got->sack_permitted);
	if (want->has_timestamps != got->has_timestamps)
		return fail(s, "timestamps are %d", got->has_timestamps);
	if (want->has_timestamps && (l->tsval != got->tsval - s->ts_base || l->tsecr != got->tsecr))
		return fail(s, "timestamps are %u %u", got->tsval - s->ts_base, got->tsecr);
	if (want->sack_count != got->sack_count)
		return fail(s, "%u SACK blocks", got->sack_count);
	for (unsigned i = 0; i < got->sack_count; i++)
		if (memcmp(&want->sack[i], &got->sack[i], sizeof(got->sack[i])) != 0)
			return fail(s, "SACK block %u is %u:%u", i, got->sack[i].left - s->peer_isn,
				got->sack[i].right - s->peer_isn);
	return true;
}

static bool check_numbers(struct script *s, const struct line *l, const struct rig_segment *g)
{
	char flags[8];

	print_flags(g->h.flags, flags);
	const uint32_t seq = g->h.seq - s->our_isn;
	/* A RST in answer to a stray segment has that segment's numbers. */
	if (g->h.flags != l->in.h.flags || seq != l->seq || g->size != l->end - l->seq ||
		(l->has_ack && g->h.ack - s->peer_isn != l->ack) ||
		(l->has_window && g->h.window != l->in.h.window))
		return fail(s, "got %s %u:%u ack %u win %u", flags, seq, seq + g->size,
			g->h.ack - s->peer_isn, g->h.window);
	if (g->h.dst_port != l->port || g->h.src_port != l->local_port)
		return fail(s, "to port %u", g->h.dst_port);
	if (!g->checksum_ok)
		return fail(s, "its checksum is wrong");
	const uint64_t at_us = g->at_us - s->conf.start_us;
	if (l->has_time && (at_us + TIME_SLACK_US < l->at_us || at_us > l->at_us + TIME_SLACK_US))
		return fail(s, "at %.6f s", (double)at_us / 1e6);
	for (uint32_t i = 0; i < g->size; i++)
		if (g->payload[i] != stream_byte(l->seq - 1 + i))
			return fail(s, "byte %u is wrong", l->seq + i);
	return true;
}

static bool do_expect(struct script *s)
{
	struct line l;

	if (!parse_line(s, &l, s->peer_isn))
		return false;
	const struct rig_segment *g = rig_next(s->rig);
	if (g == NULL)
		return fail(s, "nothing was sent");
	learn(s, g);
	if (l.any)
		return true;
	return check_numbers(s, &l, g) && check_options(s, &l, g);
}

/* The first waiting event must be of this kind. */
static bool take_event(struct script *s, enum tcp_event_kind kind, struct tcp_event *out)
{
	struct rig *r = s->rig;

	if (r->event_count == 0)
		return fail(s, "no event");
	*out = r->events[0];
	memmove(r->events, r->events + 1, --r->event_count * sizeof(r->events[0]));
	if (out->kind != kind)
		return fail(s, "event %d, why %s", out->kind, err_name(out->why));
	return true;
}

static bool do_accept(struct script *s)
{
	struct tcp_event e;

	if (!take_event(s, TCP_EVENT_ACCEPTED, &e))
		return false;
	s->id = e.id;
	s->read_at = s->written = 0;
	return true;
}

static bool do_closed(struct script *s)
{
	struct tcp_event e = {0};
	const char *why = s->word_count > 1 ? s->words[1] : "NONE";

	if (!take_event(s, TCP_EVENT_CLOSED, &e))
		return false;
	tcp_release(s->rig->tcp, e.id);
	rig_turn(s->rig);
	return strcmp(why, err_name(e.why)) == 0 || fail(s, "why is %s", err_name(e.why));
}

static bool do_writable(struct script *s)
{
	struct tcp_event e;

	return take_event(s, TCP_EVENT_WRITABLE, &e);
}

static bool do_on_connected(struct script *s)
{
	struct tcp_event e;

	return take_event(s, TCP_EVENT_CONNECTED, &e);
}

static bool do_read(struct script *s)
{
	static uint8_t bytes[1 << 20];
	const size_t want = number(s->words[1]);
	const size_t have = tcp_recv_available(s->rig->tcp, s->id);

	if (have < want || want > sizeof(bytes))
		return fail(s, "%zu bytes can be read", have);
	if (tcp_recv_copy(s->rig->tcp, s->id, bytes, want) != want)
		return fail(s, "copy fell short");
	for (size_t i = 0; i < want; i++)
		if (bytes[i] != stream_byte(s->read_at + (uint32_t)i))
			return fail(s, "byte %zu is wrong", s->read_at + i + 1);
	tcp_recv_consume(s->rig->tcp, s->id, want);
	s->read_at += (uint32_t)want;
	rig_turn(s->rig);
	return true;
}

static bool do_available(struct script *s)
{
	const size_t have = tcp_recv_available(s->rig->tcp, s->id);

	return have == number(s->words[1]) || fail(s, "%zu bytes can be read", have);
}

static bool do_end(struct script *s)
{
	return tcp_at_end(s->rig->tcp, s->id) || fail(s, "not at the end");
}

static bool do_write(struct script *s)
{
	static uint8_t bytes[1 << 21];
	const uint32_t size = number(s->words[1]);
	const bool full = s->word_count > 2;

	ASSERT(size <= sizeof(bytes));
	for (uint32_t i = 0; i < size; i++)
		bytes[i] = stream_byte(s->written + i);
	if (tcp_send(s->rig->tcp, s->id, span_of(bytes, size)) == full)
		return fail(s, full ? "taken" : "not taken");
	if (!full)
		s->written += size;
	rig_turn(s->rig);
	return true;
}

static bool do_lend(struct script *s)
{
	const uint32_t size = number(s->words[1]);
	uint8_t bytes[RIG_LENT_PIECE];

	/* The chain is the whole stream; this is the stretch that is next. */
	for (uint32_t at = 0; s->rig->lent.head == NULL || s->rig->lent_size < RIG_LENT;) {
		for (uint32_t i = 0; i < sizeof(bytes); i++)
			bytes[i] = stream_byte(at + i);
		rig_lent_append(s->rig, span_of(bytes, sizeof(bytes)));
		at += (uint32_t)sizeof(bytes);
	}
	if (!tcp_send_lent(s->rig->tcp, s->id, &s->rig->lent, s->written, size))
		return fail(s, "not taken");
	s->written += size;
	rig_turn(s->rig);
	return true;
}

static bool do_close(struct script *s)
{
	tcp_close(s->rig->tcp, s->id);
	rig_turn(s->rig);
	return true;
}

static bool do_abort(struct script *s)
{
	tcp_abort(s->rig->tcp, s->id);
	rig_turn(s->rig);
	return true;
}

static bool do_hold(struct script *s)
{
	s->rig->hold = true;
	return true;
}

static bool do_turn(struct script *s)
{
	s->rig->hold = false;
	rig_turn(s->rig);
	return true;
}

static bool do_nic(struct script *s)
{
	s->rig->nic_full = strcmp(s->words[1], "full") == 0;
	if (!s->rig->nic_full)
		rig_turn(s->rig);
	return true;
}

static const char *state_now(struct script *s)
{
	static const char *names[STATE_COUNT] = {"FREE", "CLOSED", "SYN_SENT", "SYN_RECEIVED",
		"ESTABLISHED", "FIN_WAIT_1", "FIN_WAIT_2", "CLOSE_WAIT", "CLOSING", "LAST_ACK",
		"TIME_WAIT"};
	const struct tcp *t = s->rig->tcp;
	const struct tcp_tuple tuple = {rte_cpu_to_be_32(RIG_PEER), rte_cpu_to_be_32(RIG_LOCAL),
		s->peer_port, s->local_port};
	const uint32_t index = tcp_table_find(&t->table, &tuple);

	if (index == TABLE_EMPTY)
		return "CLOSED";
	if (index >= t->conf.connections_max + t->conf.time_wait_max)
		return names[STATE_SYN_RECEIVED];
	return index >= t->conf.connections_max ? "TIME_WAIT" : names[t->conns[index].state];
}

static bool do_state(struct script *s)
{
	const char *is = state_now(s);
	return strcmp(is, s->words[1]) == 0 || fail(s, "state is %s", is);
}

static bool do_count(struct script *s)
{
	for (unsigned i = 0; i < COUNTER_TOTAL; i++) {
		if (strcmp(counter_name(i), s->words[1]) != 0)
			continue;
		const uint64_t is = counter_get(&s->rig->counters, (enum counter)i);
		return is == number(s->words[2]) ||
		       fail(s, "%s is %llu", s->words[1], (unsigned long long)is);
	}
	return fail(s, "no such counter: %s", s->words[1]);
}

static bool do_forget(struct script *s)
{
	const struct rig_segment *g;

	while ((g = rig_next(s->rig)) != NULL)
		learn(s, g);
	return true;
}

static bool run_line(struct script *s, const char *text, size_t size);

static bool run_lines(struct script *s, const char *text)
{
	s->depth++;
	while (*text != 0) {
		const size_t size = strcspn(text, "\n");
		if (!run_line(s, text, size))
			return false;
		text += size + (text[size] != 0);
	}
	s->depth--;
	return true;
}

/* The words of `established` and `connected`, as the options and window of the peer's SYN. */
static void peer_syn(struct script *s, char options[128], unsigned *window, bool *ts)
{
	unsigned mss = 1460;
	char more[64] = "";

	*window = 65535;
	*ts = false;
	for (unsigned i = 1; i < s->word_count; i++) {
		const char *value;
		const size_t at = strlen(more);
		if (strcmp(s->words[i], "ts") == 0)
			*ts = true;
		else if (strcmp(s->words[i], "sack") == 0)
			snprintf(more + at, sizeof(more) - at, " sackok");
		else if ((value = value_of(s->words[i], "ws")) != NULL)
			snprintf(more + at, sizeof(more) - at, " ws %s", value);
		else if ((value = value_of(s->words[i], "mss")) != NULL)
			mss = number(value);
		else if ((value = value_of(s->words[i], "win")) != NULL)
			*window = number(value);
	}
	snprintf(options, 128, "mss %u%s", mss, more);
}

static bool do_established(struct script *s)
{
	char options[128], text[512];
	unsigned window;
	bool ts;

	peer_syn(s, options, &window, &ts);
	snprintf(text, sizeof(text),
		"listen\n< S 0 win %u < %s %s >\n> S. 0 ack 1\n< . 1 ack 1 win %u %s\naccept\n",
		window, options, ts ? "ts 100 0" : "", window, ts ? "< ts 100 0 >" : "");
	return run_lines(s, text);
}

static bool do_connected(struct script *s)
{
	char options[128], text[512];
	unsigned window;
	bool ts;

	if (s->word_count == 1 && s->opened && s->rig->event_count > 0)
		return do_on_connected(s);
	peer_syn(s, options, &window, &ts);
	snprintf(text, sizeof(text),
		"connect\n> S 0\n< S. 0 ack 1 win %u < %s %s >\n> . 1 ack 1\nconnected\n", window,
		options, ts ? "ts 100 0" : "");
	return run_lines(s, text);
}

static const struct {
	const char *name;
	bool (*run)(struct script *s);
	unsigned words;
} commands[] = {{"conf", do_conf, 2}, {"listen", do_listen, 1}, {"connect", do_connect, 1},
	{"established", do_established, 1}, {"connected", do_connected, 1}, {"<", do_inject, 2},
	{">", do_expect, 2}, {"accept", do_accept, 1}, {"closed", do_closed, 1},
	{"writable", do_writable, 1}, {"read", do_read, 2}, {"available", do_available, 2},
	{"end", do_end, 1}, {"write", do_write, 2}, {"lend", do_lend, 2}, {"close", do_close, 1},
	{"abort", do_abort, 1}, {"hold", do_hold, 1}, {"turn", do_turn, 1}, {"nic", do_nic, 2},
	{"state", do_state, 2}, {"count", do_count, 3}, {"forget", do_forget, 1},
	{"icmp", do_icmp, 3}};

static bool do_advance(struct script *s)
{
	uint64_t us;

	if (!parse_time(s->words[0] + 1, &us))
		return fail(s, "bad time");
	rig_advance(s->rig, us);
	return true;
}

/* Nothing may be left over before the peer or the application does anything. */
static bool check_quiet(struct script *s)
{
	if (!s->opened || s->rig->count == 0 || s->words[0][0] == '>' ||
		strcmp(s->words[0], "forget") == 0)
		return true;
	const struct rig_segment *g = rig_next(s->rig);
	char flags[8];
	print_flags(g->h.flags, flags);
	return fail(s, "before it, unexpected: %s %u:%u ack %u at %.6f s", flags,
		g->h.seq - s->our_isn, g->h.seq - s->our_isn + g->size, g->h.ack - s->peer_isn,
		(double)(g->at_us - s->conf.start_us) / 1e6);
}

static void split(struct script *s, const char *text, size_t size)
{
	char *at = s->buffer;

	ASSERT(size < LINE);
	memcpy(s->buffer, text, size);
	s->buffer[size] = 0;
	s->buffer[strcspn(s->buffer, "#")] = 0;
	s->word_count = 0;
	for (char *word; (word = strtok_r(s->word_count == 0 ? at : NULL, " \t", &at)) != NULL;) {
		ASSERT(s->word_count < WORDS);
		s->words[s->word_count++] = word;
	}
}

static bool run_line(struct script *s, const char *text, size_t size)
{
	split(s, text, size);
	s->line += s->depth == 1;
	if (s->word_count == 0)
		return true;
	if (!check_quiet(s))
		return false;
	if (s->words[0][0] == '+')
		return do_advance(s);
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
		if (strcmp(commands[i].name, s->words[0]) != 0)
			continue;
		if (s->word_count < commands[i].words)
			return fail(s, "%s wants more words", s->words[0]);
		return commands[i].run(s);
	}
	return fail(s, "no such command: %s", s->words[0]);
}

bool script_run(const char *text, char why[SCRIPT_WHY])
{
	static struct script s;

	s = (struct script){
		.conf = rig_conf_default(), .peer_isn = 1000000, .want_isn = -1, .why = why};
	why[0] = 0;
	bool ok = run_lines(&s, text);
	s.words[0] = s.buffer;
	snprintf(s.buffer, sizeof(s.buffer), "end of script");
	if (ok)
		ok = check_quiet(&s);
	if (ok && s.opened && s.rig->event_count > 0)
		ok = fail(&s, "at the end, event %d", s.rig->events[0].kind);
	const uint32_t missing = s.opened ? rig_close(s.rig) : 0;
	if (ok && missing > 0)
		ok = fail(&s, "%u buffers are missing", missing);
	return ok;
}
