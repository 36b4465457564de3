/* works_store.c - texts of work: kept in a ring of bytes, written into the arena.
 *
 * Work is answered in the order in which it was made, so its texts come and go
 * like a queue. A STORE's text is its targets, the head of its message and the
 * payload, from where they lie; one longer than a part is said in several,
 * as the arena finds room. */
#include "dataplane/base/assert.h"
#include "dataplane/worker/works_internal.h"

/* Bytes to take for a text, with those lost at the end; more than there are: no room. */
static uint64_t cost_of(const struct works *s, size_t size)
{
	const uint32_t tail = s->texts_size - s->texts_head;

	return size + (size > tail ? tail : 0);
}

bool works_text_fits(const struct works *s, size_t size)
{
	return cost_of(s, size) <= s->texts_size - s->texts_used;
}

struct work_text works_text_keep(struct works *s, struct span text)
{
	ASSERT(works_text_fits(s, text.size));
	const uint32_t size = (uint32_t)text.size, cost = (uint32_t)cost_of(s, size);

	if (cost > size)
		s->texts_head = 0;
	const struct work_text t = {s->texts + s->texts_head, size, cost};
	if (size > 0)
		memcpy(t.at, text.at, size);
	s->texts_head += size;
	s->texts_used += cost;
	return t;
}

void works_text_free(struct works *s, const struct work_text *t)
{
	ASSERT(t->cost <= s->texts_used);
	s->texts_used -= t->cost;
	if (s->texts_used == 0)
		s->texts_head = 0;
}

struct parcel works_parcel(const struct message *m)
{
	const struct message_props *p = &m->props;

	return (struct parcel){.topic = m->topic,
		.content_type = p->content_type,
		.reply_to = p->reply_to,
		.correlation = p->correlation,
		.user = p->user,
		.expiry_s = p->expiry_s,
		.payload_size = m->payload_size,
		.qos = m->qos,
		.priority = p->priority,
		.retain = m->retain,
		.payload_is_utf8 = p->payload_is_utf8 != 0};
}

uint32_t works_parcel_size(const struct message *m)
{
	const struct message_props *p = &m->props;

	return (uint32_t)(PARCEL_FIXED + m->topic.size + p->content_type.size + p->reply_to.size +
			  p->correlation.size + p->user.size + m->payload_size);
}

/* What one slot can carry of a text, as pieces of where it lies. */
struct pieces {
	struct span at[WORKS_SPANS_MAX];
	size_t count;
	size_t skip; /* bytes that earlier slots had */
	size_t size; /* of all pieces */
	bool full;
};

static void piece(struct pieces *p, struct span s)
{
	if (p->full || p->skip >= s.size) {
		p->skip -= p->full ? 0 : s.size;
		return;
	}
	s = span_skip(s, p->skip);
	p->skip = 0;
	if (s.size > SHM_PART_BYTES - p->size)
		s.size = SHM_PART_BYTES - p->size;
	p->at[p->count++] = s;
	p->size += s.size;
	p->full = p->count == WORKS_SPANS_MAX || p->size == SHM_PART_BYTES;
}

static void message_pieces(struct pieces *p, const struct message *m, struct span fixed)
{
	piece(p, fixed);
	piece(p, m->topic);
	piece(p, m->props.content_type);
	piece(p, m->props.reply_to);
	piece(p, m->props.correlation);
	piece(p, m->props.user);
	for (const struct rte_mbuf *s = m->payload; s != NULL && !p->full; s = s->next)
		piece(p, span_of(rte_pktmbuf_mtod(s, const void *), s->data_len));
}

bool works_write(struct worker *w)
{
	struct works *s = w->works;
	const struct work *k = work_at(s, s->written);
	struct pieces p = {.skip = s->part_at};
	struct shm_work body = k->body;
	uint8_t fixed[PARCEL_FIXED];

	if (shm_tx_room(&w->link.commands) <= WORKS_RING_KEPT)
		return false;
	piece(&p, span_of(k->text.at, k->text.size));
	if (k->message != NULL) {
		struct writer head = writer_of(fixed, sizeof(fixed));
		const struct parcel parcel = works_parcel(k->message);
		parcel_encode_fixed(&head, &parcel);
		message_pieces(&p, k->message, writer_span(&head));
	}
	const bool last = k->message == NULL || s->part_at + p.size == k->body.text_size;
	ASSERT(last || p.size > 0);
	if (p.size > 0 && !link_put(w, p.at, p.count, &body.text))
		return false;
	if (!last) {
		const struct shm_part part = {body.text};
		s->part_at += (uint32_t)p.size;
		return link_push(w, SHM_COMMAND_PART, &part, sizeof(part));
	}
	s->part_at = 0;
	return link_push(w, (enum shm_command)k->type, &body, sizeof(body));
}
