/* letters.c - see letters.h. */
#include "dataplane/worker/letters.h"

/* Large tiers first: what moves there from the fresh one is never without either. */
static void take_one(struct letters *l, struct match *m)
{
	for (uint32_t seat = TIER_SEATS; seat-- > 0;) {
		if (!letter_full(&l->in[seat]))
			continue;
		match_tier_offer(m, seat, letter_take(&l->in[seat]));
		return;
	}
}

bool letters_take_in(struct letters *l, struct match *m)
{
	struct tier *left;

	if (!match_tier_moves(m))
		take_one(l, m);
	/* What comes out needs a place. */
	if (!match_tier_moves(m) || letter_full(&l->out))
		return false;
	if (match_tier_step(m, LETTERS_BUDGET, &left) && left != NULL)
		letter_put(&l->out, left);
	return true;
}
