/* tiers.c - see tiers.h. */
#include "dataplane/worker/tiers.h"

#include "dataplane/worker/letters.h"
#include "dataplane/worker/worker_internal.h"

static void note_bad(struct worker *w, struct letters *letters)
{
	const uint32_t bad = __atomic_exchange_n(&letters->bad, 0, __ATOMIC_RELAXED);

	if (bad > 0)
		counter_add(w->counters, (enum counter)(COUNTER_NAMED + ERR_TIER_BAD), bad);
}

static bool tell(struct worker *w, const struct match_news *n)
{
	struct shm_pattern body = {.pattern = n->pattern, .added = n->added};

	return (!n->added || link_put(w, &n->text, 1, &body.text)) &&
	       link_push(w, SHM_COMMAND_PATTERN, &body, sizeof(body));
}

static bool tell_news(struct worker *w)
{
	struct match *m = fabric_match(w->fabric);
	struct match_news news;
	bool moved = false;

	for (uint32_t n = 0; n < TIERS_NEWS_BUDGET; n++) {
		if (!link_has_spare_room(w) || !match_next_news(m, &news) || !tell(w, &news))
			break;
		match_took_news(m);
		moved = true;
	}
	return moved;
}

bool tiers_poll(struct worker *w)
{
	struct letters *letters = w->conf.letters;
	bool moved = false;

	if (letters != NULL) {
		moved = letters_take_in(letters, fabric_match(w->fabric));
		note_bad(w, letters);
	}
	return tell_news(w) || moved;
}

void tiers_renew(struct worker *w)
{
	match_repeat_news(fabric_match(w->fabric));
}
