/* check.c - the invariants of sessions in memory, for tests. */
#include "controlplane/sessions/internal.h"
#include "dataplane/base/assert.h"

static void check_sent(const struct sessions *s, const struct stored *st)
{
	size_t again = 0;

	ASSERT(st->sent_first <= st->sent_end);
	ASSERT(st->sent_end <= st->sent_room);
	for (size_t i = st->sent_first; i < st->sent_end; i++) {
		ASSERT(st->sent[i].entry < st->cursor || st->sent[i].again);
		ASSERT(i == st->sent_first || st->sent[i - 1].entry < st->sent[i].entry);
		again += st->sent[i].again;
	}
	ASSERT(again == st->sent_again);
	ASSERT(st->sent_first == st->sent_end || st->online);
	(void)s;
}

static void check_session(const struct sessions *s, const struct stored *st)
{
	const bool idle = st->list == &s->idle;

	check_sent(s, st);
	ASSERT(st->id != 0 && st->id < s->next_session);
	ASSERT(st->next >= 1);
	ASSERT(st->count < st->next);
	ASSERT(st->cursor <= st->next);
	ASSERT(st->down <= st->next && st->fence <= st->next);
	ASSERT(st->last_token <= s->submitted);
	ASSERT(idle == !st->online);
	ASSERT(!st->online || st->record.connected);
	ASSERT(!st->granted || st->online);
	ASSERT(!st->online || stored_at(s, st->worker, st->connection) == st);
}

static uint32_t list_length(const struct stored_list *list)
{
	const struct stored *last = NULL;
	uint32_t n = 0;

	for (const struct stored *st = list->first; st != NULL; st = st->next_in_list, n++) {
		ASSERT(st->list == list);
		ASSERT(st->prev == last);
		last = st;
	}
	ASSERT(list->last == last);
	return n;
}

static void check_peer(const struct peer *peer)
{
	ASSERT(peer->open_first <= peer->open_end && peer->open_end <= peer->open_room);
	for (size_t i = peer->open_first + 1; i < peer->open_end; i++)
		ASSERT(peer->open[i - 1].sequence < peer->open[i].sequence);
	ASSERT(peer->told <= peer->through);
	ASSERT(peer->has || peer->lent == NULL);
	(void)list_length(&peer->ready);
	(void)list_length(&peer->uncommitted);
	(void)list_length(&peer->declined);
}

void sessions_check(const struct sessions *s)
{
	uint64_t entries = 0;
	uint32_t out = 0, refused = 0;

	ASSERT(s->completed <= s->submitted);
	for (uint32_t i = 0; s->by_id.slots != NULL && i <= s->by_id.mask; i++) {
		if (s->by_id.slots[i].key == 0)
			continue;
		const struct stored *st = (const struct stored *)s->by_id.slots[i].pointer;
		ASSERT(st->id == s->by_id.slots[i].key);
		check_session(s, st);
		entries += st->count;
	}
	ASSERT(entries == s->entries);
	ASSERT(list_length(&s->idle) == s->idle_count);
	for (uint32_t i = 0; s->wills.slots != NULL && i <= s->wills.mask; i++) {
		const struct table_slot *slot = &s->wills.slots[i];
		out += slot->key != 0 && (slot->number & WILL_STATE_MASK) == WILL_OUT;
		refused += slot->key != 0 && (slot->number & WILL_REFUSED) != 0;
	}
	ASSERT(out == s->wills_out);
	ASSERT(refused == s->wills_refused && refused <= WILLS_REFUSED_MAX);
	for (uint32_t w = 0; w < s->workers; w++)
		check_peer(&s->peers[w]);
}
