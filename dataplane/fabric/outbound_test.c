/* outbound_test.c - the engine of messages in flight, against what the specification allows. */
#include "dataplane/fabric/outbound.h"

#include "dataplane/base/rng.h"
#include "tests/unit/eal.h"
#include "tests/unit/unit.h"

#include "dataplane/base/assert.h"

enum { NODES = 64, QUEUED = 8, INFLIGHT = 4, STEPS = 20000, CLIENTS = 3, IDS = 65535 };

static struct outbounds *all;
static struct outbound out;
static struct counters counters;
static struct messages *store;
static struct message *message;

static const struct delivery transient = {.qos = 2};

static void open_with(const struct outbounds_conf *conf)
{
	static struct rte_mempool *segments;

	memset(&counters, 0, sizeof(counters));
	if (segments == NULL)
		segments = unit_pool(64);
	store = messages_create(
		&(struct messages_conf){.count = 4, .segments = segments, .counters = &counters});
	CU_ASSERT_PTR_NOT_NULL_FATAL(store);
	message = message_begin(store, span_str("t"), &(struct message_props){0}, 0);
	CU_ASSERT_PTR_NOT_NULL_FATAL(message);
	all = outbounds_create(conf);
	CU_ASSERT_PTR_NOT_NULL_FATAL(all);
	outbound_open(&out, all, 1);
}

static void open_world(void)
{
	open_with(&(struct outbounds_conf){.nodes_max = NODES,
		.queued_max = QUEUED,
		.inflight_max = INFLIGHT,
		.counters = &counters});
}

/* messages_destroy and outbounds_destroy assert that nothing is left. */
static void close_world(void)
{
	outbound_check(&out);
	outbound_clear(&out);
	outbound_check(&out);
	CU_ASSERT_EQUAL(counter_get(&counters, COUNTER_INFLIGHT), 0);
	CU_ASSERT_EQUAL(counter_get(&counters, COUNTER_QUEUED), 0);
	CU_ASSERT_EQUAL(message->refs, 1);
	message_put(&message);
	outbounds_destroy(&all);
	messages_destroy(&store);
}

static enum err push(uint8_t qos)
{
	return outbound_push(&out, message, &transient, qos);
}

static enum err push_entry(uint64_t entry)
{
	return outbound_push(&out, message, &(struct delivery){.entry = entry}, 2);
}

static struct outbound_node *send_next(void)
{
	struct outbound_node *n = outbound_next(&out);

	CU_ASSERT_PTR_NOT_NULL_FATAL(n);
	outbound_sent(&out, n);
	return n;
}

static void ids_count_from_1(void)
{
	open_world();
	for (int id = 1; id <= INFLIGHT; id++) {
		CU_ASSERT_EQUAL(push(1), ERR_NONE);
		CU_ASSERT_EQUAL(send_next()->packet_id, id);
	}
	CU_ASSERT_EQUAL(counter_get(&counters, COUNTER_INFLIGHT), INFLIGHT);
	close_world();
}

static void ids_in_use_are_left_out(void)
{
	open_world();
	for (int i = 0; i < 2; i++) {
		CU_ASSERT_EQUAL(push(1), ERR_NONE);
		send_next();
	}
	for (int i = 2; i < IDS; i++) { /* 2 to 65535 come and go, 1 stays */
		outbound_drop(&out, outbound_find(&out, (uint16_t)i));
		CU_ASSERT_EQUAL(push(1), ERR_NONE);
		CU_ASSERT_EQUAL(send_next()->packet_id, i + 1);
	}
	outbound_drop(&out, outbound_find(&out, IDS));
	CU_ASSERT_EQUAL(push(1), ERR_NONE);
	CU_ASSERT_EQUAL(send_next()->packet_id, 2);
	CU_ASSERT_PTR_NOT_NULL(outbound_find(&out, 1));
	close_world();
}

static void window_is_kept(void)
{
	open_world();
	for (int i = 0; i < INFLIGHT + 2; i++)
		CU_ASSERT_EQUAL(push(1), ERR_NONE);
	for (int i = 0; i < INFLIGHT; i++)
		send_next();
	CU_ASSERT_PTR_NULL(outbound_next(&out));
	CU_ASSERT_FALSE(outbound_window_open(&out));
	CU_ASSERT_EQUAL(counter_get(&counters, COUNTER_QUEUED), 2);
	outbound_drop(&out, outbound_find(&out, 2));
	CU_ASSERT_EQUAL(send_next()->packet_id, INFLIGHT + 1);
	CU_ASSERT_PTR_NULL(outbound_next(&out));
	close_world();
}

static void client_may_take_less(void)
{
	open_world();
	out.receive_max = 1;
	CU_ASSERT_EQUAL(push(2), ERR_NONE);
	CU_ASSERT_EQUAL(push(2), ERR_NONE);
	struct outbound_node *n = send_next();
	CU_ASSERT_PTR_NULL(outbound_next(&out));
	outbound_releasing(&out, n);
	outbound_released(&out, n);
	CU_ASSERT_PTR_NULL(outbound_next(&out)); /* until PUBCOMP */
	outbound_drop(&out, n);
	send_next();
	close_world();
}

static void queue_has_an_end(void)
{
	open_world();
	for (int i = 0; i < INFLIGHT; i++) {
		CU_ASSERT_EQUAL(push(1), ERR_NONE);
		send_next();
	}
	for (int i = 0; i < QUEUED; i++)
		CU_ASSERT_EQUAL(push(1), ERR_NONE);
	CU_ASSERT_EQUAL(push(1), ERR_QUEUE_FULL);
	CU_ASSERT_EQUAL(push_entry(7), ERR_NONE); /* its queue is elsewhere */
	close_world();
}

static void without_a_queue_only_the_window_counts(void)
{
	open_with(&(struct outbounds_conf){
		.nodes_max = NODES, .inflight_max = 1, .counters = &counters});
	CU_ASSERT_EQUAL(push(1), ERR_NONE);
	CU_ASSERT_EQUAL(push(1), ERR_QUEUE_FULL);
	send_next();
	CU_ASSERT_EQUAL(push(1), ERR_QUEUE_FULL);
	close_world();
}

static void pool_has_an_end(void)
{
	open_with(&(struct outbounds_conf){
		.nodes_max = 2, .queued_max = 5, .inflight_max = 5, .counters = &counters});
	CU_ASSERT_EQUAL(push(1), ERR_NONE);
	CU_ASSERT_EQUAL(push_entry(1), ERR_NONE);
	CU_ASSERT_EQUAL(push(1), ERR_INFLIGHT_FULL);
	CU_ASSERT_EQUAL(push_entry(2), ERR_INFLIGHT_FULL);
	CU_ASSERT_EQUAL(outbound_resume(&out, 2), ERR_INFLIGHT_FULL);
	CU_ASSERT_EQUAL(message->refs, 3);
	close_world();
}

static void entries_bring_their_ids(void)
{
	open_world();
	CU_ASSERT_EQUAL(push_entry(1), ERR_NONE);
	CU_ASSERT_EQUAL(push_entry(65534), ERR_NONE);
	CU_ASSERT_EQUAL(push_entry(65535), ERR_NONE);
	CU_ASSERT_EQUAL(send_next()->packet_id, 2);
	CU_ASSERT_EQUAL(send_next()->packet_id, 65535);
	CU_ASSERT_EQUAL(send_next()->packet_id, 1);
	CU_ASSERT_PTR_NULL(outbound_find_entry(&out, 65536)); /* the id of 1 */
	CU_ASSERT_PTR_NOT_NULL(outbound_find_entry(&out, 1));
	close_world();
}

static void an_entry_comes_once(void)
{
	open_world();
	CU_ASSERT_EQUAL(push_entry(5), ERR_NONE);
	CU_ASSERT_EQUAL(push_entry(5), ERR_NONE);
	CU_ASSERT_EQUAL(out.waiting.count, 1);
	send_next();
	CU_ASSERT_EQUAL(push_entry(5), ERR_NONE);
	CU_ASSERT_EQUAL(outbound_resume(&out, 5), ERR_NONE);
	CU_ASSERT_EQUAL(out.waiting.count + out.due.count, 0);
	CU_ASSERT_EQUAL(push_entry(5 + IDS), ERR_MQTT_PACKET_ID_IN_USE);
	CU_ASSERT_EQUAL(outbound_resume(&out, 5 + IDS), ERR_MQTT_PACKET_ID_IN_USE);
	close_world();
}

static void waiting_is_not_in_flight(void)
{
	open_world();
	CU_ASSERT_EQUAL(push_entry(5), ERR_NONE);
	CU_ASSERT_PTR_NULL(outbound_find(&out, 6));
	send_next();
	CU_ASSERT_PTR_NOT_NULL(outbound_find(&out, 6));
	close_world();
}

/* The control plane's window is its own; but no client gets more than it takes. */
static void entries_keep_to_the_client(void)
{
	open_world();
	out.receive_max = INFLIGHT + 2;
	for (uint64_t entry = 1; entry <= INFLIGHT + 3; entry++)
		CU_ASSERT_EQUAL(push_entry(entry), ERR_NONE);
	for (int i = 0; i < INFLIGHT + 2; i++)
		send_next();
	CU_ASSERT_PTR_NULL(outbound_next(&out));
	close_world();
}

static void own_ids_keep_away_from_entries(void)
{
	open_world();
	out.durable = true;
	CU_ASSERT_EQUAL(push_entry(9), ERR_NONE);
	send_next();
	CU_ASSERT_EQUAL(push(1), ERR_NONE);
	CU_ASSERT_EQUAL(send_next()->packet_id, 9);
	CU_ASSERT_EQUAL(push(1), ERR_NONE);
	CU_ASSERT_EQUAL(send_next()->packet_id, 8);
	CU_ASSERT_EQUAL(push_entry(10), ERR_NONE);
	CU_ASSERT_EQUAL(send_next()->packet_id, 11);
	CU_ASSERT_EQUAL(push_entry(8), ERR_MQTT_PACKET_ID_IN_USE);
	close_world();
}

static void a_resumed_entry_takes_no_window(void)
{
	open_world();
	out.receive_max = 1;
	CU_ASSERT_EQUAL(outbound_resume(&out, 3), ERR_NONE);
	CU_ASSERT_EQUAL(outbound_resume(&out, 4), ERR_NONE);
	CU_ASSERT_EQUAL(out.sent, 0);
	struct outbound_node *n = outbound_due(&out);
	CU_ASSERT_EQUAL(n->packet_id, 4);
	outbound_released(&out, n);
	CU_ASSERT_EQUAL(outbound_due(&out)->packet_id, 5);
	CU_ASSERT_EQUAL(push_entry(5), ERR_NONE);
	send_next();
	outbound_drop(&out, n);
	CU_ASSERT_EQUAL(out.sent, 1);
	close_world();
}

/* 4.6.0-4 */
static void releases_go_in_order_of_receipt(void)
{
	open_world();
	for (int i = 0; i < 3; i++) {
		CU_ASSERT_EQUAL(push(2), ERR_NONE);
		send_next();
	}
	outbound_releasing(&out, outbound_find(&out, 2));
	outbound_releasing(&out, outbound_find(&out, 1));
	CU_ASSERT_EQUAL(outbound_due(&out)->packet_id, 2);
	outbound_released(&out, outbound_due(&out));
	CU_ASSERT_EQUAL(outbound_due(&out)->packet_id, 1);
	CU_ASSERT_EQUAL(outbound_find(&out, 3)->state, OUTBOUND_SENT);
	close_world();
}

static void clients_do_not_meet(void)
{
	struct outbound other;

	open_world();
	outbound_open(&other, all, 2);
	CU_ASSERT_EQUAL(push(1), ERR_NONE);
	send_next();
	CU_ASSERT_PTR_NULL(outbound_find(&other, 1));
	CU_ASSERT_EQUAL(outbound_push(&other, message, &transient, 1), ERR_NONE);
	outbound_sent(&other, outbound_next(&other));
	CU_ASSERT_PTR_NOT_EQUAL(outbound_find(&other, 1), outbound_find(&out, 1));
	outbound_clear(&other);
	CU_ASSERT_PTR_NOT_NULL(outbound_find(&out, 1));
	close_world();
}

/* One step forward for a node, or its end. */
static void advance(struct rng *rng, struct outbound *o, struct outbound_node *n)
{
	if (n == NULL)
		return;
	if (rng_chance(rng, 200000))
		outbound_drop(o, n);
	else if (n->state == OUTBOUND_SENT && n->qos == 2 && n->delivery.entry != 0)
		outbound_receiving(o, n);
	else if (n->state == OUTBOUND_RELEASING)
		outbound_released(o, n);
	else if (n->state == OUTBOUND_RELEASED || n->qos == 1)
		outbound_drop(o, n);
	else
		outbound_releasing(o, n);
}

static void step_at_random(struct rng *rng, struct outbound *o, uint64_t *entry)
{
	const struct delivery queued = {.entry = *entry};
	struct outbound_node *n;
	enum err e = ERR_NONE;

	switch (rng_below(rng, 5)) {
	case 0:
		e = outbound_push(o, message, &transient, (uint8_t)(1 + rng_below(rng, 2)));
		break;
	case 1:
		e = outbound_push(o, message, &queued, (uint8_t)(1 + rng_below(rng, 2)));
		*entry += e == ERR_NONE;
		break;
	case 2:
		e = outbound_resume(o, *entry);
		*entry += e == ERR_NONE;
		break;
	case 3:
		n = outbound_next(o);
		if (n != NULL)
			outbound_sent(o, n);
		break;
	default:
		advance(rng, o, outbound_find(o, (uint16_t)(1 + rng_below(rng, 40))));
	}
	CU_ASSERT_TRUE(e == ERR_NONE || e == ERR_QUEUE_FULL || e == ERR_INFLIGHT_FULL ||
		       e == ERR_MQTT_PACKET_ID_IN_USE);
}

static void random_walk(void)
{
	struct rng rng = rng_from(unit_seed());
	struct outbound clients[CLIENTS];
	uint64_t entries[CLIENTS], serial = 2;

	open_world();
	for (uint32_t i = 0; i < CLIENTS; i++) {
		outbound_open(&clients[i], all, serial++);
		entries[i] = 1;
	}
	for (int i = 0; i < STEPS; i++) {
		const uint32_t k = rng_below(&rng, CLIENTS);
		step_at_random(&rng, &clients[k], &entries[k]);
		outbound_check(&clients[k]);
		if (rng_chance(&rng, 5000)) {
			outbound_clear(&clients[k]);
			outbound_open(&clients[k], all, serial++);
			entries[k] = 1;
		}
	}
	for (uint32_t i = 0; i < CLIENTS; i++)
		outbound_clear(&clients[i]);
	close_world();
}

static const struct unit_test tests[] = {
	{"ids_count_from_1", ids_count_from_1},
	{"ids_in_use_are_left_out", ids_in_use_are_left_out},
	{"window_is_kept", window_is_kept},
	{"client_may_take_less", client_may_take_less},
	{"queue_has_an_end", queue_has_an_end},
	{"without_a_queue_only_the_window_counts", without_a_queue_only_the_window_counts},
	{"pool_has_an_end", pool_has_an_end},
	{"entries_bring_their_ids", entries_bring_their_ids},
	{"an_entry_comes_once", an_entry_comes_once},
	{"waiting_is_not_in_flight", waiting_is_not_in_flight},
	{"entries_keep_to_the_client", entries_keep_to_the_client},
	{"own_ids_keep_away_from_entries", own_ids_keep_away_from_entries},
	{"a_resumed_entry_takes_no_window", a_resumed_entry_takes_no_window},
	{"releases_go_in_order_of_receipt", releases_go_in_order_of_receipt},
	{"clients_do_not_meet", clients_do_not_meet},
	{"random_walk", random_walk},
};

int main(int argc, char **argv)
{
	return UNIT_MAIN("outbound", tests, argc, argv);
}
