/* command.c - slots to commands. See command.h. */
#include "controlplane/link/command.h"

#include "controlplane/link/text.h"
#include "dataplane/shm/parcel.h"

enum {
	CONNECT_FLAGS = SHM_CONNECT_CLEAN | SHM_CONNECT_USERNAME | SHM_CONNECT_PASSWORD |
			SHM_CONNECT_AGAIN | SHM_CONNECT_LIVE | SHM_CONNECT_WILL,
	STORE_FLAGS = SHM_WORK_RETAIN | SHM_WORK_RECORD | SHM_WORK_WILL,
	ENDED_FLAGS = SHM_WORK_NO_WILL | SHM_WORK_EXPIRY,
	FILTER_FLAGS = SHM_FILTER_NO_LOCAL | SHM_FILTER_RETAIN_AS_PUBLISHED |
		       3 << SHM_FILTER_HANDLING_SHIFT,
	HANDLING_MAX = 2,           /* MQTT 5.0 3.8.3.1 */
	IDENTIFIER_MAX = 268435455, /* MQTT 5.0 1.5.5 */
	QOS_MAX = 2,
	WILL_FIXED = 4,
};

bool command_is_will(struct span will)
{
	struct parcel p;

	if (will.size < WILL_FIXED)
		return false;
	return parcel_decode(span_skip(will, WILL_FIXED), &p) == ERR_NONE && text_is_topic(p.topic);
}

/* A field is there only if its flag says so, and only LIVE, and who has no name, with an epoch. */
static bool flags_agree(const struct shm_connect *c)
{
	if ((c->flags & ~CONNECT_FLAGS) != 0)
		return false;
	if ((c->flags & SHM_CONNECT_USERNAME) == 0 && c->username_size != 0)
		return false;
	if ((c->flags & SHM_CONNECT_PASSWORD) == 0 && c->password_size != 0)
		return false;
	if ((c->flags & SHM_CONNECT_LIVE) != 0)
		return (c->flags & SHM_CONNECT_AGAIN) != 0;
	return c->epoch == 0 || c->client_id_size == 0;
}

static struct span take(struct span *text, size_t size)
{
	const struct span out = {text->at, size};

	*text = span_skip(*text, size);
	return out;
}

static enum err decode_connect(
	const struct shm_connect *c, const uint8_t *arena, uint32_t worker, struct command *out)
{
	const uint32_t names = (uint32_t)c->client_id_size + c->username_size + c->password_size;
	struct span text = {out->bytes, c->text.size};

	if (!flags_agree(c) || c->receive_max == 0 || c->text.size < names)
		return ERR_SLOT_BAD;
	if (!shm_arena_copy(arena, c->text, out->bytes, sizeof(out->bytes)))
		return ERR_SLOT_BAD;
	out->connect = (struct registry_connect){.worker = worker,
		.connection = c->connection,
		.epoch = c->epoch,
		.session_expiry_s = c->session_expiry_s,
		.address = c->address,
		.port = c->port,
		.keepalive_s = c->keepalive_s,
		.flags = c->flags,
		.protocol = c->protocol,
		.version = c->version,
		.receive_max = c->receive_max};
	out->connect.client_id = take(&text, c->client_id_size);
	out->connect.username = take(&text, c->username_size);
	out->connect.password = take(&text, c->password_size); /* bytes, not a string */
	out->connect.will = text;
	if (!text_is_string(out->connect.client_id) || !text_is_string(out->connect.username))
		return ERR_SLOT_BAD;
	if ((c->flags & SHM_CONNECT_WILL) == 0)
		return text.size == 0 ? ERR_NONE : ERR_SLOT_BAD;
	return command_is_will(text) ? ERR_NONE : ERR_SLOT_BAD;
}

/* The text of one slot of several, or of one that needs no others. */
static bool copy_text(const uint8_t *arena, struct shm_text text, struct command *out)
{
	out->text = (struct span){out->bytes, text.size};
	return text.size <= SHM_PART_BYTES &&
	       shm_arena_copy(arena, text, out->bytes, sizeof(out->bytes));
}

static bool decode_store(const struct shm_work *w, const uint8_t *arena, struct command *out)
{
	struct shm_work *to = &out->work;
	const bool records = (w->flags & SHM_WORK_RECORD) != 0;

	if ((w->flags & ~STORE_FLAGS) != 0 || w->qos > QOS_MAX)
		return false;
	to->flags = w->flags;
	to->qos = w->qos;
	to->text_size = w->text_size;
	to->will = (w->flags & SHM_WORK_WILL) != 0 ? w->will : 0;
	to->session = records ? w->session : 0;
	to->packet_id = records ? w->packet_id : 0;
	if (records && (w->session == 0 || w->packet_id == 0))
		return false;
	if ((w->flags & SHM_WORK_WILL) != 0 && w->will == 0)
		return false;
	return w->text_size >= w->text.size && copy_text(arena, w->text, out);
}

static bool decode_filter(const struct shm_work *w, const uint8_t *arena, struct command *out)
{
	const uint32_t handling = w->flags >> SHM_FILTER_HANDLING_SHIFT;

	if (!copy_text(arena, w->text, out) || !text_is_filter(out->text))
		return false;
	if (out->type == SHM_COMMAND_UNSUBSCRIBE)
		return true;
	out->work.flags = w->flags;
	out->work.qos = w->qos;
	out->work.identifier = w->identifier;
	return (w->flags & ~FILTER_FLAGS) == 0 && handling <= HANDLING_MAX && w->qos <= QOS_MAX &&
	       w->identifier <= IDENTIFIER_MAX;
}

static bool decode_ended(const struct shm_work *w, struct command *out)
{
	out->work.flags = w->flags;
	out->work.epoch = w->epoch;
	out->work.expiry_s = (w->flags & SHM_WORK_EXPIRY) != 0 ? w->expiry_s : 0;
	return (w->flags & ~ENDED_FLAGS) == 0 && w->epoch != 0;
}

static enum err decode_work(const struct shm_work *w, const uint8_t *arena, struct command *out)
{
	bool good = w->sequence != 0 && (w->session != 0 || out->type == SHM_COMMAND_STORE);

	out->work = (struct shm_work){.sequence = w->sequence, .session = w->session};
	if (out->type == SHM_COMMAND_STORE) {
		good = good && decode_store(w, arena, out);
	} else if (out->type == SHM_COMMAND_RELEASE) {
		out->work.packet_id = w->packet_id;
		good = good && w->packet_id != 0;
	} else if (out->type == SHM_COMMAND_ENDED) {
		good = good && decode_ended(w, out);
	} else if (out->type == SHM_COMMAND_SUBSCRIBE || out->type == SHM_COMMAND_UNSUBSCRIBE) {
		good = good && decode_filter(w, arena, out);
	} else {
		out->work.entry = w->entry;
		good = good && w->entry != 0;
	}
	return good ? ERR_NONE : ERR_SLOT_BAD;
}

static enum err decode_hello(const struct shm_hello *h, struct command *out)
{
	out->hello = (struct shm_hello){.loaded = h->loaded};
	return h->loaded <= 1 ? ERR_NONE : ERR_SLOT_BAD;
}

static enum err decode_position(const struct shm_position *p, struct command *out)
{
	out->position = *p;
	memset(out->position.reserved, 0, sizeof(out->position.reserved));
	return p->session != 0 && p->receive_max != 0 && p->durable <= 1 ? ERR_NONE : ERR_SLOT_BAD;
}

static enum err decode_declined(const struct shm_declined *d, struct command *out)
{
	out->declined = *d;
	return (d->entry == 0) != (d->session == 0) ? ERR_NONE : ERR_SLOT_BAD;
}

static enum err decode_applied(const struct shm_applied *a, struct command *out)
{
	out->applied = *a;
	return a->token != 0 && a->err < ERR_COUNT ? ERR_NONE : ERR_SLOT_BAD;
}

static enum err decode_pattern(
	const struct shm_pattern *p, const uint8_t *arena, struct command *out)
{
	out->pattern = (struct shm_pattern){.pattern = p->pattern, .added = p->added};
	if (p->added == 0)
		return ERR_NONE;
	if (p->added != 1 || !copy_text(arena, p->text, out) || !text_is_filter(out->text))
		return ERR_SLOT_BAD;
	return ERR_NONE;
}

static enum err decode_trial(const struct shm_trial *t, const uint8_t *arena, struct command *out)
{
	out->trial = (struct shm_trial){.token = t->token};
	return copy_text(arena, t->text, out) && text_is_filter(out->text) ? ERR_NONE
									   : ERR_SLOT_BAD;
}

enum err command_decode(
	const struct shm_slot *slot, const uint8_t *arena, uint32_t worker, struct command *out)
{
	out->type = (enum shm_command)slot->type;
	out->text = (struct span){out->bytes, 0};
	switch (slot->type) {
	case SHM_COMMAND_HELLO:
		return decode_hello(&slot->hello, out);
	case SHM_COMMAND_CONNECT:
		return decode_connect(&slot->connect, arena, worker, out);
	case SHM_COMMAND_CLOSED:
		out->closed = slot->closed;
		return ERR_NONE;
	case SHM_COMMAND_POSITION:
		return decode_position(&slot->position, out);
	case SHM_COMMAND_RESYNCED:
		return ERR_NONE;
	case SHM_COMMAND_DECLINED:
		return decode_declined(&slot->declined, out);
	case SHM_COMMAND_APPLIED:
		return decode_applied(&slot->applied, out);
	case SHM_COMMAND_PART:
		return copy_text(arena, slot->part.text, out) ? ERR_NONE : ERR_SLOT_BAD;
	case SHM_COMMAND_STORE:
	case SHM_COMMAND_SUBSCRIBE:
	case SHM_COMMAND_UNSUBSCRIBE:
	case SHM_COMMAND_RELEASE:
	case SHM_COMMAND_RECEIVED:
	case SHM_COMMAND_SETTLED:
	case SHM_COMMAND_ENDED:
		return decode_work(&slot->work, arena, out);
	case SHM_COMMAND_PATTERN:
		return decode_pattern(&slot->pattern, arena, out);
	case SHM_COMMAND_TRY:
		return decode_trial(&slot->trial, arena, out);
	default:
		return ERR_SLOT_BAD;
	}
}
