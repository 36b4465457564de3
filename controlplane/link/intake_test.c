/* intake_test.c - what workers say: each kind of command, texts in parts, slots with lies in them,
 * what must wait. The sessions behind are played. */
#include "controlplane/link/command.h"
#include "controlplane/link/parts.h"
#include "dataplane/shm/parcel.h"
#include "tests/link/played.h"

/* Everything that a slot can say in bytes: what is unused is nonsense, and must not arrive. */
static const struct shm_work noise = {.session = 7,
	.entry = 0x0909090909090909,
	.text_size = 5,
	.packet_id = 5,
	.reserved = {1, 2, 3}};

static void work_arrives_as_it_was_meant(void)
{
	static const struct {
		enum shm_command type;
		struct shm_work set;
		const char *text;
		struct shm_work expected;
	} rows[] = {
		{SHM_COMMAND_SUBSCRIBE, {.identifier = 5, .flags = 1 | 2 | 2 << 2, .qos = 2}, "a/#",
			{.session = 7, .identifier = 5, .flags = 1 | 2 | 2 << 2, .qos = 2}},
		{SHM_COMMAND_UNSUBSCRIBE, {.flags = 255, .qos = 9}, "+/b", {.session = 7}},
		{SHM_COMMAND_RELEASE, {.flags = 255}, "", {.session = 7, .packet_id = 5}},
		{SHM_COMMAND_RECEIVED, {.qos = 255}, "",
			{.session = 7, .entry = 0x0909090909090909}},
		{SHM_COMMAND_SETTLED, {.qos = 255}, "",
			{.session = 7, .entry = 0x0909090909090909}},
		{SHM_COMMAND_ENDED, {.flags = SHM_WORK_EXPIRY | SHM_WORK_NO_WILL}, "",
			{.session = 7,
				.epoch = 0x0909090909090909,
				.expiry_s = 5,
				.flags = SHM_WORK_EXPIRY | SHM_WORK_NO_WILL}},
		{SHM_COMMAND_ENDED, {.flags = 0}, "", {.session = 7, .epoch = 0x0909090909090909}},
		{SHM_COMMAND_STORE, {.qos = 1}, "x", {.text_size = 1, .qos = 1}},
		{SHM_COMMAND_STORE, {.qos = 2, .flags = SHM_WORK_RECORD}, "x",
			{.session = 7,
				.text_size = 1,
				.packet_id = 5,
				.qos = 2,
				.flags = SHM_WORK_RECORD}},
		{SHM_COMMAND_STORE, {.flags = SHM_WORK_RETAIN | SHM_WORK_WILL}, "x",
			{.will = 0x0909090909090909,
				.text_size = 1,
				.flags = SHM_WORK_RETAIN | SHM_WORK_WILL}},
	};
	struct world w;

	played_init(&w);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct shm_work work = noise;
		work.flags = rows[i].set.flags;
		work.qos = rows[i].set.qos;
		CU_ASSERT(
			link_fake_work(&w.workers[1], rows[i].type, &work, span_str(rows[i].text)));
		played_turn(&w);
		CU_ASSERT_FATAL(played.count == 1);
		const struct call *c = &played.calls[0];
		struct shm_work expected = rows[i].expected;
		expected.sequence = i + 1;
		CU_ASSERT(c->worker == 1 && c->type == rows[i].type);
		CU_ASSERT(memcmp(&c->work, &expected, sizeof(expected)) == 0);
		CU_ASSERT(played_has(c, span_str(rows[i].text)));
		played_forget();
	}
	CU_ASSERT(played_errors(&w, ERR_SLOT_BAD) == 0);
	played_fini(&w);
}

static void other_words_arrive(void)
{
	const struct shm_applied applied = {.token = 4, .err = ERR_REPLICAS_FULL};
	const struct shm_declined entry = {.entry = 5}, will = {.session = 6};
	struct world w;

	played_init(&w);
	struct link_fake *f = &w.workers[0];
	CU_ASSERT(link_fake_say(f, SHM_COMMAND_APPLIED, &applied, sizeof(applied)));
	CU_ASSERT(link_fake_say(f, SHM_COMMAND_DECLINED, &entry, sizeof(entry)));
	CU_ASSERT(link_fake_say(f, SHM_COMMAND_DECLINED, &will, sizeof(will)));
	CU_ASSERT(link_fake_say(f, SHM_COMMAND_RESYNCED, NULL, 0));
	played_turn(&w);
	CU_ASSERT_FATAL(played.count == 4);
	CU_ASSERT(memcmp(&played.calls[0].applied, &applied, sizeof(applied)) == 0);
	CU_ASSERT(played.calls[1].declined.entry == 5 && played.calls[2].declined.session == 6);
	CU_ASSERT(played.calls[3].type == SHM_COMMAND_RESYNCED);
	played_fini(&w);
}

static void a_long_store_is_joined(void)
{
	const size_t sizes[] = {SHM_PART_BYTES, SHM_PART_BYTES + 1, 2 * SHM_PART_BYTES, LONG};
	struct world w;

	played_init(&w);
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		struct shm_work work = {.qos = 1};
		CU_ASSERT(played_store(&w, 0, &work, played_text(sizes[i])));
		played_turn(&w);
		CU_ASSERT_FATAL(played.count == 1);
		CU_ASSERT(played_has(&played.calls[0], played_text(sizes[i])));
		played_forget();
	}
	played_fini(&w);
}

/* Parts are one worker's, and anything may be said between them. */
static void parts_do_not_mix(void)
{
	const struct shm_applied applied = {.token = 1};
	struct shm_work work = {.qos = 1}, small = {.session = 1, .entry = 1};
	struct world w;

	played_init(&w);
	const struct span text = played_text(SHM_PART_BYTES + 7);
	struct link_fake *f = &w.workers[0];
	const struct span half = {text.at, SHM_PART_BYTES};
	struct shm_part part;
	CU_ASSERT(shm_arena_put(&f->arena, &f->commands, &half, 1, &part.text));
	CU_ASSERT(link_fake_say(f, SHM_COMMAND_PART, &part, sizeof(part)));
	CU_ASSERT(link_fake_say(f, SHM_COMMAND_APPLIED, &applied, sizeof(applied)));
	CU_ASSERT(played_connect(&w, 0, 1, "a"));
	CU_ASSERT(link_fake_work(f, SHM_COMMAND_SETTLED, &small, span_str("")));
	CU_ASSERT(link_fake_work(&w.workers[1], SHM_COMMAND_STORE, &work, span_str("other")));
	played_turn(&w);
	played_forget();
	f->sent = SHM_PART_BYTES;
	CU_ASSERT(link_fake_work(f, SHM_COMMAND_STORE, &work, text));
	played_turn(&w);
	CU_ASSERT_FATAL(played.count == 1);
	CU_ASSERT(played_has(&played.calls[0], text));
	played_fini(&w);
}

/* It is work all the same: without its text it is refused, and no number is missing. */
static void a_store_that_does_not_add_up_has_no_text(void)
{
	static const int32_t lies[] = {-1, 1, 1000, -(int32_t)SHM_PART_BYTES, INT32_MAX};
	struct shm_work work = {.qos = 1};
	struct world w;

	played_init(&w);
	for (size_t i = 0; i < ARRAY_SIZE(lies); i++) {
		const uint64_t slot = w.workers[0].commands.next + 1;
		CU_ASSERT(played_store(&w, 0, &work, played_text(SHM_PART_BYTES + 100)));
		struct shm_slot *last = (struct shm_slot *)(void *)shm_dp_worker(w.dp, 0)
						->commands[slot % SHM_RING_SLOTS];
		last->work.text_size += (uint32_t)lies[i];
		played_turn(&w);
		CU_ASSERT(played_errors(&w, ERR_SLOT_BAD) == i + 1);
		CU_ASSERT(played.count == 1 && played.calls[0].text_size == 0);
		CU_ASSERT(played.calls[0].work.sequence == i + 1);
		played_forget();
	}
	CU_ASSERT(played_store(&w, 0, &work, span_str("good")));
	played_turn(&w);
	CU_ASSERT(played.count == 1 && played_has(&played.calls[0], span_str("good")));
	played_fini(&w);
}

static void parts_are_bounded(void)
{
	struct shm_work work = {.qos = 1};
	struct world w;

	played_init(&w);
	CU_ASSERT(played_store(&w, 0, &work, played_text(2 * LONG)));
	played_turn(&w);
	CU_ASSERT(played.count == 1 && played.calls[0].text_size == 0);
	CU_ASSERT(played_errors(&w, ERR_SLOT_BAD) == 1);
	played_forget();
	CU_ASSERT(played_store(&w, 0, &work, played_text(PACKET_MAX)));
	played_turn(&w);
	CU_ASSERT(played.count == 1 && played_has(&played.calls[0], played_text(PACKET_MAX)));
	played_fini(&w);
}

/* However many come, the memory is that of one STORE. */
static void parts_take_bounded_memory(void)
{
	enum { MOST = 1 << 20 };
	struct parts p = {.bytes = NULL};
	struct span whole;

	for (int i = 0; i < 100; i++) {
		parts_add(&p, played_text(SHM_PART_BYTES), MOST);
		CU_ASSERT(p.size <= MOST && p.room <= 2 * MOST);
	}
	CU_ASSERT(p.spoilt && p.size == 0);
	CU_ASSERT(parts_join(&p, span_str("x"), 1, MOST, &whole) == ERR_SLOT_BAD);
	parts_drop(&p);
	CU_ASSERT(p.room <= PARTS_KEPT_BYTES);
	CU_ASSERT(parts_join(&p, span_str("x"), 1, MOST, &whole) == ERR_NONE);
	parts_fini(&p);
}

static void parts_of_the_dead_are_forgotten(void)
{
	struct shm_work work = {.qos = 1};
	struct world w;

	for (int again = 0; again < 2; again++) {
		played_init(&w);
		struct link_fake *f = &w.workers[0];
		/* Its last slot finds no room: only parts are there. */
		while (link_fake_work(f, SHM_COMMAND_STORE, &work, played_text(LONG)))
			;
		played_turn(&w);
		if (again == 0)
			played_start_workers(&w);
		else
			CU_ASSERT(link_fake_hello(f, true));
		f->sent = 0;
		CU_ASSERT(link_fake_work(f, SHM_COMMAND_STORE, &work, span_str("new")));
		played_turn(&w);
		CU_ASSERT_FATAL(played.count >= 2);
		CU_ASSERT(played.calls[1].type == SHM_COMMAND_STORE);
		CU_ASSERT(played_has(&played.calls[1], span_str("new")));
		played_fini(&w);
	}
}

static void what_must_wait_holds_up_only_its_worker(void)
{
	struct shm_work work = {.qos = 1}, other = {.qos = 1};
	struct world w;

	played_init(&w);
	played.later[0] = true;
	const struct span text = played_text(SHM_PART_BYTES + 1);
	CU_ASSERT(played_store(&w, 0, &work, text));
	CU_ASSERT(played_connect(&w, 0, 1, "behind"));
	CU_ASSERT(played_store(&w, 1, &other, span_str("free")));
	played_turn(&w);
	CU_ASSERT(played.count == 1 && played.calls[0].worker == 1);
	CU_ASSERT(!controlplane_pending(w.control)); /* or it would be asked without end */
	CU_ASSERT(controlplane_next_us(w.control, w.now) == w.now.us + CONTROLPLANE_RETRY_US);
	played_forget();
	played.later[0] = false;
	played_turn(&w);
	CU_ASSERT_FATAL(played.count == 2);
	CU_ASSERT(played_has(&played.calls[0], text));
	CU_ASSERT(played.calls[1].type == SHM_COMMAND_CONNECT);
	CU_ASSERT(controlplane_next_us(w.control, w.now) > w.now.us + CONTROLPLANE_RETRY_US);
	played_fini(&w);
}

/* A good slot of each kind, and what makes it bad. */
static const struct {
	enum shm_command type;
	size_t offset;
	uint32_t size;
	uint64_t value;
} lies[] = {
#define AT(field) offsetof(struct shm_slot, field), sizeof(((struct shm_slot *)0)->field)
	{SHM_COMMAND_HELLO, AT(hello.loaded), 2},
	{SHM_COMMAND_HELLO, AT(hello.loaded), 255},
	{SHM_COMMAND_POSITION, AT(position.session), 0},
	{SHM_COMMAND_POSITION, AT(position.receive_max), 0},
	{SHM_COMMAND_POSITION, AT(position.durable), 2},
	{SHM_COMMAND_DECLINED, AT(declined.entry), 0},
	{SHM_COMMAND_DECLINED, AT(declined.session), 1},
	{SHM_COMMAND_APPLIED, AT(applied.token), 0},
	{SHM_COMMAND_APPLIED, AT(applied.err), ERR_COUNT},
	{SHM_COMMAND_APPLIED, AT(applied.err), UINT32_MAX},
	{SHM_COMMAND_PART, AT(part.text.size), SHM_PART_BYTES + 1},
	{SHM_COMMAND_PART, AT(part.text.size), UINT32_MAX},
	{SHM_COMMAND_PART, AT(part.text.offset), SHM_ARENA_BYTES},
	{SHM_COMMAND_PART, AT(part.text.offset), UINT32_MAX},
	{SHM_COMMAND_STORE, AT(work.sequence), 0},
	{SHM_COMMAND_STORE, AT(work.flags), 8},
	{SHM_COMMAND_STORE, AT(work.flags), 255},
	{SHM_COMMAND_STORE, AT(work.flags), SHM_WORK_NO_WILL},
	{SHM_COMMAND_STORE, AT(work.qos), 3},
	{SHM_COMMAND_STORE, AT(work.text.size), SHM_PART_BYTES + 1},
	{SHM_COMMAND_STORE, AT(work.text.size), UINT32_MAX},
	{SHM_COMMAND_STORE, AT(work.text.offset), UINT32_MAX},
	{SHM_COMMAND_STORE, AT(work.text_size), 0},
	{SHM_COMMAND_SUBSCRIBE, AT(work.session), 0},
	{SHM_COMMAND_SUBSCRIBE, AT(work.sequence), 0},
	{SHM_COMMAND_SUBSCRIBE, AT(work.flags), 3 << 2},
	{SHM_COMMAND_SUBSCRIBE, AT(work.flags), 16},
	{SHM_COMMAND_SUBSCRIBE, AT(work.qos), 3},
	{SHM_COMMAND_SUBSCRIBE, AT(work.identifier), 1 << 28},
	{SHM_COMMAND_SUBSCRIBE, AT(work.text.size), 0},
	{SHM_COMMAND_SUBSCRIBE, AT(work.text.size), 65536},
	{SHM_COMMAND_UNSUBSCRIBE, AT(work.session), 0},
	{SHM_COMMAND_UNSUBSCRIBE, AT(work.text.size), 0},
	{SHM_COMMAND_RELEASE, AT(work.session), 0},
	{SHM_COMMAND_RELEASE, AT(work.packet_id), 0},
	{SHM_COMMAND_RECEIVED, AT(work.session), 0},
	{SHM_COMMAND_RECEIVED, AT(work.entry), 0},
	{SHM_COMMAND_SETTLED, AT(work.session), 0},
	{SHM_COMMAND_SETTLED, AT(work.entry), 0},
	{SHM_COMMAND_ENDED, AT(work.session), 0},
	{SHM_COMMAND_ENDED, AT(work.epoch), 0},
	{SHM_COMMAND_ENDED, AT(work.flags), SHM_WORK_RETAIN},
	{SHM_COMMAND_ENDED, AT(work.flags), 255},
	{SHM_COMMAND_PATTERN, AT(pattern.added), 2},
	{SHM_COMMAND_PATTERN, AT(pattern.text.size), 0},
	{SHM_COMMAND_PATTERN, AT(pattern.text.size), UINT32_MAX},
	{SHM_COMMAND_PATTERN, AT(pattern.text.offset), UINT32_MAX},
	{SHM_COMMAND_TRY, AT(trial.text.size), 0},
	{SHM_COMMAND_TRY, AT(trial.text.size), UINT32_MAX},
	{SHM_COMMAND_TRY, AT(trial.text.offset), SHM_ARENA_BYTES},
	{SHM_COMMAND_RESYNCED, AT(type), 0},
	{SHM_COMMAND_RESYNCED, AT(type), SHM_COMMANDS},
	{SHM_COMMAND_RESYNCED, AT(type), 255},
#undef AT
};

static void lies_in_slots_are_found_out(void)
{
	static struct command command;
	static uint8_t arena[SHM_ARENA_BYTES];

	memset(arena, 'a', sizeof(arena));
	for (size_t i = 0; i < ARRAY_SIZE(lies); i++) {
		struct shm_slot slot;
		memset(&slot, 0, sizeof(slot));
		slot.type = lies[i].type;
		if (lies[i].type == SHM_COMMAND_POSITION)
			slot.position = (struct shm_position){.session = 1, .receive_max = 1};
		else if (lies[i].type == SHM_COMMAND_DECLINED)
			slot.declined = (struct shm_declined){.entry = 1};
		else if (lies[i].type == SHM_COMMAND_APPLIED)
			slot.applied = (struct shm_applied){.token = 1};
		else if (lies[i].type == SHM_COMMAND_PART)
			slot.part.text = (struct shm_text){16, 16};
		else if (lies[i].type == SHM_COMMAND_PATTERN)
			slot.pattern = (struct shm_pattern){.added = 1, .text = {16, 16}};
		else if (lies[i].type == SHM_COMMAND_TRY)
			slot.trial.text = (struct shm_text){16, 16};
		else if (lies[i].type >= SHM_COMMAND_STORE)
			slot.work = (struct shm_work){.sequence = 1,
				.session = 1,
				.entry = 1,
				.packet_id = 1,
				.text = {16, 16},
				.text_size = 16};
		CU_ASSERT(command_decode(&slot, arena, 0, &command) == ERR_NONE);
		memcpy((uint8_t *)&slot + lies[i].offset, &lies[i].value, lies[i].size);
		CU_ASSERT(command_decode(&slot, arena, 0, &command) == ERR_SLOT_BAD);
	}
}

/* The SUBSCRIBE that was sent, or what it is refused by. */
static bool call_is(const struct call *c, bool good)
{
	if (good)
		return c->type == SHM_COMMAND_SUBSCRIBE && c->text_size != 0;
	return c->type == SHM_COMMAND_STORE && c->text_size == 0 && c->work.session == 0;
}

static void filters_and_names_are_text(void)
{
	static const struct {
		const char *bytes;
		size_t size;
		bool good;
	} rows[] = {{"a/+/#", 5, true}, {"\xc3\xa4", 2, true}, {"\xf0\x9f\x9a\x82", 4, true},
		{"\xef\xbf\xbf", 3, true}, {"a\0b", 3, false}, {"\xc3", 1, false},
		{"\xc0\x80", 2, false}, {"\xed\xa0\x80", 3, false}, {"\xe0\x80\x80", 3, false},
		{"\xf4\x90\x80\x80", 4, false}, {"\xf0\x80\x80\x80", 4, false}, {"\xff", 1, false},
		{"a\x80", 2, false}, {"\xe2\x82", 2, false}, {"\xe2\x28\xa1", 3, false},
		{"\xf1\x80\x80\x28", 4, false}, {"\xf5\x80\x80\x80", 4, false}};
	struct world w;

	played_init(&w);
	uint32_t bad = 0;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct span text = span_of(rows[i].bytes, rows[i].size), none = {NULL, 0};
		struct shm_work work = {.session = 1};
		CU_ASSERT(link_fake_work(&w.workers[0], SHM_COMMAND_SUBSCRIBE, &work, text));
		for (int user = 0; user < 2; user++) {
			struct shm_connect c = {.connection = {1, 1},
				.receive_max = 1,
				.flags = user ? SHM_CONNECT_USERNAME : 0};
			CU_ASSERT(link_fake_connect(&w.workers[0], &c, user ? span_str("i") : text,
				user ? text : none, none, none));
		}
		played.connect_later = true;
		played_turn(&w);
		bad += rows[i].good ? 0 : 3;
		CU_ASSERT(played_errors(&w, ERR_SLOT_BAD) == bad);
		CU_ASSERT_FATAL(played.count == 1);
		CU_ASSERT(call_is(&played.calls[0], rows[i].good));
		played_forget();
	}
	played_fini(&w);
}

static struct span encode_will(uint8_t to[256], const char *topic)
{
	struct writer writer = writer_of(to, 256);
	const struct parcel p = {.topic = span_str(topic), .payload_size = 3};

	write_u32(&writer, 30);
	parcel_encode_head(&writer, &p);
	write_bytes(&writer, span_str("bye"));
	return writer_span(&writer);
}

static void a_connect_brings_its_will(void)
{
	uint8_t text[256];
	struct shm_connect c = {.connection = {3, 1},
		.receive_max = 10,
		.session_expiry_s = 60,
		.flags = SHM_CONNECT_WILL | SHM_CONNECT_CLEAN | SHM_CONNECT_PASSWORD};
	const struct span none = {NULL, 0};
	struct world w;

	played_init(&w);
	const struct span will = encode_will(text, "a/b");
	CU_ASSERT(
		link_fake_connect(&w.workers[1], &c, span_str("id"), none, span_str("pass"), will));
	played_turn(&w);
	CU_ASSERT_FATAL(played.count == 1);
	const struct sessions_connect *got = &played.calls[0].connect;
	CU_ASSERT(got->worker == 1 && got->connection.index == 3 && got->clean);
	CU_ASSERT(got->receive_max == 10 && got->session_expiry_s == 60);
	CU_ASSERT(got->will.size == will.size && got->client_id.size == 2);
	const struct link_event e = link_fake_next(&w.workers[1]);
	CU_ASSERT(e.slot.type == SHM_EVENT_GRANT && e.slot.grant.session == 1001);
	CU_ASSERT(e.slot.grant.session_present == 1 && e.slot.grant.durable == 1);
	CU_ASSERT(e.slot.grant.epoch == got->epoch);
	played_fini(&w);
}

/* Whoever may be known from before us is waited for, until it is asked for. */
static void a_connect_that_is_asked_again_is_expected(void)
{
	const struct span none = {NULL, 0};
	struct shm_connect c = {
		.connection = {3, 1}, .receive_max = 10, .flags = SHM_CONNECT_AGAIN};
	struct world w;

	played_init(&w);
	played.connect_later = true;
	CU_ASSERT(played_connect(&w, 1, 1, "a"));
	played_turn(&w);
	CU_ASSERT(!played.expects);
	CU_ASSERT(link_fake_connect(&w.workers[0], &c, span_str("b"), none, none, none));
	played_turn(&w);
	CU_ASSERT(played.expects);
	played.connect_later = false;
	played_turn(&w);
	CU_ASSERT_FATAL(played.count == 2);
	CU_ASSERT(!played.expects && !played.calls[0].connect.again);
	CU_ASSERT(played.calls[1].connect.again);
	played_forget();
	played.connect_later = true;
	c.connection.index = 4;
	CU_ASSERT(link_fake_connect(&w.workers[0], &c, span_str("c"), none, none, none));
	played_turn(&w);
	CU_ASSERT(played.expects);
	const struct shm_closed closed = {.connection = c.connection};
	CU_ASSERT(link_fake_say(&w.workers[0], SHM_COMMAND_CLOSED, &closed, sizeof(closed)));
	played_turn(&w);
	CU_ASSERT(!played.expects);
	played_fini(&w);
}

static void wills_that_cannot_be_are_refused(void)
{
	static const char *const topics[] = {"", "a/#", "+", "\xff"};
	const struct span none = {NULL, 0};
	uint8_t text[256];
	struct world w;

	played_init(&w);
	struct shm_connect c = {.connection = {3, 1}, .receive_max = 10, .flags = SHM_CONNECT_WILL};
	struct span will = encode_will(text, "t");
	uint32_t bad = 0;
	for (size_t size = 0; size < will.size; size++)
		CU_ASSERT(link_fake_connect(&w.workers[0], &c, span_str("id"), none, none,
				  (struct span){text, size}) &&
			  ++bad);
	text[will.size] = 0;
	will.size++;
	CU_ASSERT(link_fake_connect(&w.workers[0], &c, span_str("id"), none, none, will) && ++bad);
	for (size_t i = 0; i < ARRAY_SIZE(topics); i++)
		CU_ASSERT(link_fake_connect(&w.workers[0], &c, span_str("id"), none, none,
				  encode_will(text, topics[i])) &&
			  ++bad);
	c.flags = 0; /* a text, though no flag says so */
	CU_ASSERT(link_fake_connect(
			  &w.workers[0], &c, span_str("id"), none, none, encode_will(text, "t")) &&
		  ++bad);
	played_turn(&w);
	CU_ASSERT(played.count == 0 && played_errors(&w, ERR_SLOT_BAD) == bad);
	played_fini(&w);
}

static void who_is_not_ready_waits_and_others_do_not(void)
{
	struct world w;
	struct shm_work work = {.session = 1, .entry = 1};

	played_init(&w);
	played.connect_later = true;
	CU_ASSERT(played_connect(&w, 0, 1, "a"));
	CU_ASSERT(link_fake_work(&w.workers[0], SHM_COMMAND_SETTLED, &work, span_str("")));
	played_turn(&w);
	CU_ASSERT(played.count == 1 && played.calls[0].type == SHM_COMMAND_SETTLED);
	CU_ASSERT(controlplane_next_us(w.control, w.now) == w.now.us + CONTROLPLANE_RETRY_US);
	played.connect_later = false;
	played_turn(&w);
	CU_ASSERT(link_fake_next(&w.workers[0]).slot.type == SHM_EVENT_GRANT);
	played_fini(&w);
}

static void the_end_of_a_session_is_told(void)
{
	struct world w;

	played_init(&w);
	CU_ASSERT(played_connect(&w, 0, 1, "a"));
	played_turn(&w);
	const struct shm_grant grant = link_fake_next(&w.workers[0]).slot.grant;
	const struct shm_closed closed = {.connection = {1, 1}, .epoch = grant.epoch};
	played_forget();
	CU_ASSERT(link_fake_say(&w.workers[0], SHM_COMMAND_CLOSED, &closed, sizeof(closed)));
	played_turn(&w);
	CU_ASSERT_FATAL(played.count == 1);
	CU_ASSERT(
		played.calls[0].gone[0] == grant.session && played.calls[0].gone[1] == grant.epoch);
	played_fini(&w);
}

/* The dataplane is another one: what it had is gone, before it says a word. */
static void a_dead_dataplane_ends_its_sessions(void)
{
	struct world w;

	played_init(&w);
	CU_ASSERT(played_connect(&w, 0, 1, "a"));
	played_turn(&w);
	played_forget();
	shm_region_start(w.dp, 7);
	played_turn(&w);
	CU_ASSERT(played.count == 1 && played.calls[0].type == SHM_COMMAND_CLOSED);
	played_fini(&w);
}

static void a_live_session_is_placed_or_turned_out(void)
{
	struct world w;

	for (int known = 0; known < 2; known++) {
		played_init(&w);
		CU_ASSERT(played_connect(&w, 0, 1, "a"));
		played_turn(&w);
		const struct shm_grant grant = link_fake_next(&w.workers[0]).slot.grant;
		played_start_control(&w);
		played_forget();
		CU_ASSERT(link_fake_hello(&w.workers[0], true));
		struct shm_connect c = {.connection = {1, 1},
			.receive_max = 10,
			.flags = SHM_CONNECT_AGAIN | SHM_CONNECT_LIVE,
			.epoch = grant.epoch};
		const struct shm_position p = {
			.connection = {1, 1}, .session = 5, .delivered = 9, .receive_max = 10};
		const struct span none = {NULL, 0};
		CU_ASSERT(link_fake_connect(&w.workers[0], &c, span_str("a"), none, none, none));
		CU_ASSERT(link_fake_say(&w.workers[0], SHM_COMMAND_POSITION, &p, sizeof(p)));
		played.unknown = known == 0;
		played_turn(&w);
		CU_ASSERT_FATAL(played.count >= 2);
		CU_ASSERT(played.calls[1].type == SHM_COMMAND_POSITION);
		CU_ASSERT(played.calls[1].position.delivered == 9);
		const struct link_event e = link_fake_next(&w.workers[0]);
		CU_ASSERT(e.slot.type == (known ? 0 : SHM_EVENT_REVOKE));
		played_fini(&w);
	}
}

static const struct unit_test tests[] = {
	{"work_arrives_as_it_was_meant", work_arrives_as_it_was_meant},
	{"other_words_arrive", other_words_arrive},
	{"a_long_store_is_joined", a_long_store_is_joined},
	{"parts_do_not_mix", parts_do_not_mix},
	{"a_store_that_does_not_add_up_has_no_text", a_store_that_does_not_add_up_has_no_text},
	{"parts_are_bounded", parts_are_bounded},
	{"parts_take_bounded_memory", parts_take_bounded_memory},
	{"parts_of_the_dead_are_forgotten", parts_of_the_dead_are_forgotten},
	{"what_must_wait_holds_up_only_its_worker", what_must_wait_holds_up_only_its_worker},
	{"lies_in_slots_are_found_out", lies_in_slots_are_found_out},
	{"filters_and_names_are_text", filters_and_names_are_text},
	{"a_connect_brings_its_will", a_connect_brings_its_will},
	{"a_connect_that_is_asked_again_is_expected", a_connect_that_is_asked_again_is_expected},
	{"wills_that_cannot_be_are_refused", wills_that_cannot_be_are_refused},
	{"who_is_not_ready_waits_and_others_do_not", who_is_not_ready_waits_and_others_do_not},
	{"the_end_of_a_session_is_told", the_end_of_a_session_is_told},
	{"a_dead_dataplane_ends_its_sessions", a_dead_dataplane_ends_its_sessions},
	{"a_live_session_is_placed_or_turned_out", a_live_session_is_placed_or_turned_out},
};

int main(int argc, char **argv)
{
	return UNIT_MAIN("intake", tests, argc, argv);
}
