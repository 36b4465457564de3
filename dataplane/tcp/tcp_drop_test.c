/* tcp_drop_test.c - each segment that comes to nothing is counted, under one reason. */
#include "dataplane/tcp/tcp_rig.h"
#include "tests/unit/unit.h"

enum { S = 1000000, PEER = 0x0a000002, US = 0x0a000001, PORT = 1883, NOBODY = 9 };

static struct tcp_rig *rig;
static uint64_t before[ERR_COUNT];

struct sent {
	uint16_t from, to;
	uint32_t seq, ack;
	uint8_t flags;
	uint8_t size; /* of text */
};

static void note(void)
{
	for (unsigned e = 0; e < ERR_COUNT; e++)
		before[e] = rig->counters.value[COUNTER_NAMED + e];
}

/* How many reasons of TCP were counted since `note`; *why is one of them. Answers that go nowhere,
 * since the peer's MAC is unknown, are not TCP's. */
static uint64_t reasons(enum err *why)
{
	uint64_t n = 0;

	for (unsigned e = 1; e < ERR_COUNT; e++) {
		const uint64_t more = rig->counters.value[COUNTER_NAMED + e] - before[e];
		if (strncmp(err_name((enum err)e), "TCP_", 4) != 0)
			continue;
		n += more;
		if (more > 0)
			*why = (enum err)e;
	}
	return n;
}

static void send_segment(const struct sent *s)
{
	const struct tcp_header h = {.src_port = s->from,
		.dst_port = s->to,
		.seq = s->seq,
		.ack = s->ack,
		.flags = s->flags,
		.window = 1000};
	uint8_t bytes[TCP_HEADER_MAX];
	const size_t size = tcp_header_encode(&h, bytes);
	struct rte_mbuf *m = rte_pktmbuf_alloc(rig->headers);

	CU_ASSERT_PTR_NOT_NULL_FATAL(m);
	char *to = rte_pktmbuf_append(m, (uint16_t)(size + s->size));
	memset(to, 'x', size + s->size);
	memcpy(to, bytes, size);
	m->ol_flags |= RTE_MBUF_F_RX_L4_CKSUM_GOOD;
	struct net_packet p = {
		.mbuf = m, .src = rte_cpu_to_be_32(PEER), .dst = rte_cpu_to_be_32(US)};
	note();
	tcp_rx(rig->tcp, &p, 1 * S);
	tcp_flush(rig->tcp, 1 * S);
}

static void check_reason(const struct sent *s, enum err expected)
{
	enum err why = ERR_NONE;

	send_segment(s);
	const uint64_t n = reasons(&why);
	if (n != (expected != ERR_NONE) || why != expected)
		printf("# flags %x, size %u: %llu reasons, %s\n", s->flags, s->size,
			(unsigned long long)n, err_name(why));
	CU_ASSERT_EQUAL(n, expected != ERR_NONE);
	CU_ASSERT_EQUAL(why, expected);
}

static void strangers(void)
{
	static const struct {
		struct sent s;
		enum err why;
	} rows[] = {
		{{5, NOBODY, 1, 0, TCP_SYN, 0}, ERR_TCP_NO_PORT},
		{{5, NOBODY, 1, 1, TCP_ACK, 3}, ERR_TCP_NO_PORT},
		{{5, NOBODY, 1, 0, TCP_RST, 0}, ERR_TCP_NO_PORT},
		{{5, NOBODY, 1, 0, 0, 0}, ERR_TCP_NO_PORT},
		{{5, PORT, 1, 0, TCP_RST, 0}, ERR_TCP_NO_PORT},
		{{5, PORT, 1, 1, TCP_RST | TCP_ACK, 0}, ERR_TCP_NO_PORT},
		{{5, PORT, 1, 1, TCP_ACK, 0}, ERR_TCP_NO_PORT},
		{{5, PORT, 1, 1, TCP_SYN | TCP_ACK, 0}, ERR_TCP_NO_PORT},
		{{5, PORT, 1, 0, TCP_FIN, 0}, ERR_TCP_FLAGS},
		{{5, PORT, 1, 0, TCP_SYN | TCP_FIN, 0}, ERR_TCP_FLAGS},
		{{5, PORT, 1, 0, 0, 0}, ERR_TCP_FLAGS},
		{{5, PORT, 1, 0, TCP_FIN | TCP_PSH | TCP_URG, 0}, ERR_TCP_FLAGS},
	};

	rig = tcp_rig_open(8);
	CU_ASSERT_EQUAL(tcp_listen(rig->tcp, 0, PORT, 8), ERR_NONE);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		check_reason(&rows[i].s, rows[i].why);
	tcp_rig_close(rig);
}

static struct conn *open_one(void)
{
	struct tcp_id id;

	rig = tcp_rig_open(8);
	CU_ASSERT_EQUAL(
		tcp_connect(rig->tcp, rte_cpu_to_be_32(PEER), 80, 40000, 7, &id, 1 * S), ERR_NONE);
	tcp_flush(rig->tcp, 1 * S);
	return tcp_conn_find(rig->tcp, id);
}

static void close_all(struct conn *c)
{
	struct tcp_event e;

	if (c->state != STATE_CLOSED && c->state != STATE_FREE)
		tcp_abort(rig->tcp, (struct tcp_id){conn_index(rig->tcp, c), c->generation});
	while (tcp_next_event(rig->tcp, &e))
		if (e.kind == TCP_EVENT_CLOSED)
			tcp_release(rig->tcp, e.id);
	tcp_flush(rig->tcp, 1 * S);
	tcp_rig_close(rig);
}

static void in_syn_sent(void)
{
	struct conn *c = open_one();
	const uint32_t iss = conn_cold(rig->tcp, c)->iss;

	check_reason(&(struct sent){80, 40000, 1, 0, TCP_RST, 0}, ERR_TCP_ACK_UNACCEPTABLE);
	check_reason(&(struct sent){80, 40000, 1, 0, TCP_PSH, 1}, ERR_TCP_FLAGS);
	check_reason(&(struct sent){80, 40000, 1, iss + 1, TCP_ACK, 0}, ERR_TCP_FLAGS);
	check_reason(
		&(struct sent){80, 40000, 1, iss, TCP_SYN | TCP_ACK, 0}, ERR_TCP_ACK_UNACCEPTABLE);
	CU_ASSERT_EQUAL(c->state, STATE_SYN_SENT);
	close_all(c);
}

static void after_the_fin(void)
{
	struct conn *c = open_one();
	const uint32_t ack = conn_cold(rig->tcp, c)->iss + 1;

	check_reason(&(struct sent){80, 40000, 1, ack, TCP_SYN | TCP_ACK, 0}, ERR_NONE);
	check_reason(&(struct sent){80, 40000, 2, ack, TCP_ACK | TCP_FIN, 0}, ERR_NONE);
	CU_ASSERT_EQUAL(c->state, STATE_CLOSE_WAIT);
	check_reason(&(struct sent){80, 40000, 3, ack, TCP_ACK, 1}, ERR_TCP_UNACCEPTABLE);
	close_all(c);
}

static void in_time_wait(void)
{
	struct conn *c = open_one();
	const uint32_t ack = conn_cold(rig->tcp, c)->iss + 1;
	const struct tcp_id id = {conn_index(rig->tcp, c), c->generation};

	check_reason(&(struct sent){80, 40000, 1, ack, TCP_SYN | TCP_ACK, 0}, ERR_NONE);
	tcp_close(rig->tcp, id);
	tcp_flush(rig->tcp, 1 * S);
	check_reason(&(struct sent){80, 40000, 2, ack + 1, TCP_ACK | TCP_FIN, 0}, ERR_NONE);
	CU_ASSERT_EQUAL(rig->tcp->timewait_used, 1);
	check_reason(&(struct sent){80, 40000, 3, ack + 1, TCP_ACK, 0}, ERR_NONE);
	check_reason(&(struct sent){80, 40000, 3, 0, TCP_RST, 0}, ERR_TCP_TIME_WAIT);
	check_reason(&(struct sent){80, 40000, 3, ack + 1, TCP_ACK, 5}, ERR_TCP_TIME_WAIT);
	check_reason(&(struct sent){80, 40000, 9, ack + 1, TCP_ACK, 0}, ERR_TCP_TIME_WAIT);
	close_all(c);
}

static const struct unit_test tests[] = {
	{"strangers", strangers},
	{"in_syn_sent", in_syn_sent},
	{"after_the_fin", after_the_fin},
	{"in_time_wait", in_time_wait},
};

int main(int argc, char **argv)
{
	return UNIT_MAIN("tcp_drop", tests, argc, argv);
}
