/* ring_fuzz_words.c - what a dataplane says that is not mad yet, and what it hears.
 *
 * u8 which command, then:
 *
 *	0 HELLO	u8 loaded
 *	1 CONNECT	u8 client id (small: one of four; else its size, and bytes),
 *		u8 flags, u8 expiry, u8 connection, u8 receive maximum;
 *		with a will: u8 size, its payload
 *	2 CLOSED	u8 connection
 *	3 POSITION	u8 grant, u8 delivered
 *	4 RESYNCED
 *	5 DECLINED	u8 entry, or grant
 *	6 APPLIED	u8 token, u8 err
 *	7 STORE	u8 flags, u8 targets, one of them: u8 grant, u8 qos;
 *		u8 packet id, u8 topic, u8 size, payload, u8 cut into parts
 *	8 SUBSCRIBE	u8 grant, u8 filter, u8 options, u8 qos
 *	9 UNSUBSCRIBE	u8 grant, u8 filter
 *	10 RELEASE	u8 grant, u8 packet id
 *	11 RECEIVED	u8 grant, u8 entry
 *	12 SETTLED	u8 grant, u8 entry
 *	13 ENDED	u8 grant, u8 flags, u8 expiry */
#include "controlplane/link/ring_fuzz.h"
#include "dataplane/shm/parcel.h"

enum { TARGETS = 4, ENTRY_NEAR = 8 };

static const struct span none = {NULL, 0};

static const struct shm_grant *grant(const struct fuzz_world *w, uint8_t which)
{
	return &w->grants[which % FUZZ_KNOWN];
}

/* One that was heard, or a small number. */
static uint64_t entry(const struct fuzz_world *w, uint8_t which)
{
	return which < ENTRY_NEAR ? which : w->entries[which % FUZZ_KNOWN];
}

static uint32_t expiry(uint8_t v)
{
	return v == UINT8_MAX ? UINT32_MAX : v;
}

static struct span topic(uint8_t which)
{
	static const char *const topics[] = {"t", "t/1", "t/2", "u/1/2"};
	return span_str(topics[which % ARRAY_SIZE(topics)]);
}

static struct span filter(uint8_t which)
{
	static const char *const filters[] = {"t", "t/+", "#", "u/#", "+/1", "$share/g/t", "a/#/b"};
	return span_str(filters[which % ARRAY_SIZE(filters)]);
}

static void write_parcel(struct writer *to, struct span name, struct span payload, uint8_t flags)
{
	const struct parcel p = {.topic = name,
		.payload_size = (uint32_t)payload.size,
		.qos = flags % 3,
		.retain = (flags & 4) != 0,
		.expiry_s = flags >> 3};

	parcel_encode_head(to, &p);
	write_bytes(to, payload);
}

static bool say_connect(struct fuzz_world *w, struct reader *r)
{
	static const char *const ids[] = {"a", "b", "c", ""};
	const uint8_t id = read_u8(r), flags = read_u8(r);
	struct shm_connect c = {
		.flags = flags, .session_expiry_s = expiry(read_u8(r)), .version = 5};
	uint8_t text[512];
	struct writer will = writer_of(text, sizeof(text));

	c.connection = (struct shm_connection){read_u8(r) % 8, 1};
	c.receive_max = read_u8(r);
	if ((flags & SHM_CONNECT_LIVE) != 0)
		c.epoch = grant(w, id)->epoch;
	else if (id == 3) /* it has no name, and says what to make one of */
		c.epoch = flags;
	if ((flags & SHM_CONNECT_WILL) != 0) {
		write_u32(&will, id % 4);
		write_parcel(&will, topic(id), read_bytes(r, read_u8(r)), id);
	}
	const struct span name = id < 4 ? span_str(ids[id]) : read_bytes(r, id % 32);
	return link_fake_connect(&w->fake, &c, name, none, none, writer_span(&will));
}

static struct span store_text(
	struct fuzz_world *w, struct reader *r, uint8_t flags, uint8_t *to, size_t room)
{
	struct writer text = writer_of(to, room);
	const uint32_t targets = read_u8(r) % TARGETS;

	store_encode_count(&text, targets);
	for (uint32_t i = 0; i < targets; i++) {
		struct store_target t = {.session = grant(w, read_u8(r))->session};
		const uint8_t how = read_u8(r);
		t.qos = 1 + how % 2;
		t.retain = (how & 2) != 0;
		t.identifier_count = (how >> 2) % (STORE_IDENTIFIERS_MAX + 1);
		store_encode_target(&text, &t);
	}
	const uint8_t name = read_u8(r);
	write_parcel(&text, topic(name), read_bytes(r, read_u8(r)), flags);
	return writer_span(&text);
}

static bool say_store(struct fuzz_world *w, struct reader *r)
{
	struct link_fake *f = &w->fake;
	uint8_t bytes[1024];
	struct shm_work work = {.flags = read_u8(r) % 8, .qos = 1};
	const struct span text = store_text(w, r, work.flags, bytes, sizeof(bytes));

	work.packet_id = read_u8(r);
	work.session = grant(w, (uint8_t)work.packet_id)->session;
	if ((work.flags & SHM_WORK_WILL) != 0)
		work.will = grant(w, read_u8(r))->session;
	const size_t cut = read_u8(r);
	if (f->sent == 0 && cut != 0 && cut < text.size) {
		const struct span piece = {text.at, cut};
		struct shm_part part;
		if (!shm_arena_put(&f->arena, &f->commands, &piece, 1, &part.text) ||
			!link_fake_say(f, SHM_COMMAND_PART, &part, sizeof(part)))
			return false;
		f->sent = cut;
	}
	f->sent = f->sent > text.size ? 0 : f->sent;
	return link_fake_work(f, SHM_COMMAND_STORE, &work, text);
}

static bool say_work(struct fuzz_world *w, struct reader *r, enum shm_command type)
{
	const struct shm_grant *g = grant(w, read_u8(r));
	struct shm_work work = {.session = g->session};
	struct span text = none;
	const uint8_t v = read_u8(r);

	if (type == SHM_COMMAND_SUBSCRIBE || type == SHM_COMMAND_UNSUBSCRIBE)
		text = filter(v);
	if (type == SHM_COMMAND_SUBSCRIBE) {
		work.flags = read_u8(r);
		work.qos = read_u8(r) % 3;
		work.identifier = work.flags / 16;
		work.flags %= 12;
	} else if (type == SHM_COMMAND_RELEASE) {
		work.packet_id = v;
	} else if (type == SHM_COMMAND_RECEIVED || type == SHM_COMMAND_SETTLED) {
		work.entry = entry(w, v);
	} else if (type == SHM_COMMAND_ENDED) {
		work.epoch = g->epoch;
		work.flags = v & (SHM_WORK_NO_WILL | SHM_WORK_EXPIRY);
		work.expiry_s = expiry(read_u8(r));
	}
	return link_fake_work(&w->fake, type, &work, text);
}

static bool say_position(struct fuzz_world *w, struct reader *r)
{
	const struct shm_grant *g = grant(w, read_u8(r));
	const struct shm_position p = {.connection = g->connection,
		.session = g->session,
		.delivered = entry(w, read_u8(r)),
		.receive_max = 4,
		.durable = 1};

	return link_fake_say(&w->fake, SHM_COMMAND_POSITION, &p, sizeof(p));
}

static bool say_short(struct fuzz_world *w, struct reader *r, uint8_t which)
{
	const uint8_t v = which == 4 ? 0 : read_u8(r);
	const struct shm_closed closed = {.connection = {v % 8, 1}};
	struct shm_declined declined = {.entry = entry(w, v)};
	const struct shm_applied applied = {.token = v, .err = which == 6 ? read_u8(r) % 2 : 0};

	switch (which) {
	case 0:
		return link_fake_hello(&w->fake, v % 2 != 0);
	case 2:
		return link_fake_say(&w->fake, SHM_COMMAND_CLOSED, &closed, sizeof(closed));
	case 4:
		return link_fake_say(&w->fake, SHM_COMMAND_RESYNCED, NULL, 0);
	case 5:
		if (declined.entry == 0)
			declined.session = grant(w, v)->session;
		return link_fake_say(&w->fake, SHM_COMMAND_DECLINED, &declined, sizeof(declined));
	default:
		return link_fake_say(&w->fake, SHM_COMMAND_APPLIED, &applied, sizeof(applied));
	}
}

void fuzz_say(struct fuzz_world *w, struct reader *r)
{
	const uint8_t which = read_u8(r) % 14;
	bool said; /* a full ring says no; the script goes on */

	if (which == 1)
		said = say_connect(w, r);
	else if (which == 3)
		said = say_position(w, r);
	else if (which == 7)
		said = say_store(w, r);
	else if (which > 7)
		said = say_work(w, r, (enum shm_command)(SHM_COMMAND_STORE + (which - 7)));
	else
		said = say_short(w, r, which);
	(void)said;
	if (w->fake.arena.head > w->arena_used)
		w->arena_used = w->fake.arena.head;
}

static void remember(struct fuzz_world *w, const struct link_event *e)
{
	const struct shm_slot *slot = &e->slot;
	struct parcel p;

	if (slot->type == SHM_EVENT_GRANT) {
		ASSERT(slot->grant.verdict < SHM_VERDICTS);
		ASSERT(slot->grant.durable <= 1 && slot->grant.session_present <= 1);
		if (slot->grant.verdict == SHM_GRANTED)
			w->grants[w->grant_count++ % FUZZ_KNOWN] = slot->grant;
	} else if (slot->type == SHM_EVENT_DELIVER) {
		const size_t identifiers = 4u * slot->deliver.identifier_count;
		ASSERT(slot->deliver.entry != 0 && slot->deliver.text_size == e->text.size);
		w->entries[w->entry_count++ % FUZZ_KNOWN] = slot->deliver.entry;
		if ((slot->deliver.flags & SHM_DELIVER_RELEASE) != 0)
			return;
		ASSERT(e->text.size > identifiers);
		const enum err bad = parcel_decode(span_skip(e->text, identifiers), &p);
		ASSERT(bad == ERR_NONE);
	} else if (slot->type == SHM_EVENT_PUBLISH || slot->type == SHM_EVENT_RETAINED) {
		const enum err bad = parcel_decode(e->text, &p);
		ASSERT(bad == ERR_NONE);
	}
}

void fuzz_hear(struct fuzz_world *w, uint32_t most)
{
	for (uint32_t i = 0; i < most; i++) {
		const struct link_event e = link_fake_next(&w->fake);
		if (e.slot.type == 0)
			return;
		ASSERT(e.slot.type < SHM_EVENTS);
		if (e.slot.receiver != w->fake.commands.sender)
			continue; /* for the dead */
		if (e.slot.sender != (uint32_t)w->control_generation)
			continue; /* of the dead: its text is written over */
		/* Not above the one before: whoever greets twice is answered twice. */
		ASSERT(e.slot.type != SHM_EVENT_DONE || e.slot.done.sequence != 0);
		remember(w, &e);
	}
}
