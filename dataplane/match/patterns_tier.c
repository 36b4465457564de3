/* patterns_tier.c - how a worker takes in a tier, a bounded piece at a time. See patterns.h.
 *
 * Look up: each text of the new tier becomes a note of the pattern that has it
 * here, and the pattern is marked. Give back: patterns that the seat's old tier
 * reports and the new one lacks are interpreted again. Then the seat's pointer
 * changes. Relieve: what the new tier has is its to report from now on,
 * whoever did before. Patterns that go or come meanwhile are known by their serial. */
#include "dataplane/match/internal.h"

#include "dataplane/base/assert.h"

static struct pattern *pattern_at(const struct patterns *p, uint32_t pattern)
{
	return (struct pattern *)(void *)p->pool.objects + pattern;
}

void match_tier_offer(struct match *m, uint32_t seat, struct tier *tier)
{
	struct patterns *p = &m->patterns;

	ASSERT(p->stage == TIER_NONE);
	ASSERT(seat < TIER_SEATS);
	p->coming = tier;
	p->coming_seat = seat;
	p->coming_at = 0;
	p->marks++;
	p->stage = TIER_LOOK_UP;
}

bool match_tier_moves(const struct match *m)
{
	return m->patterns.stage != TIER_NONE;
}

static void look_up(struct match *m, uint32_t index)
{
	struct patterns *p = &m->patterns;
	struct tier_note *note = &tier_notes(p->coming)[index];
	const uint32_t id = match_find(m, tier_text(p->coming, index));

	*note = (struct tier_note){.pattern = POOL_NONE};
	if (id == MATCH_NONE)
		return;
	const struct filter *f = store_at(&m->store, id);
	if (!match_is_pattern(f))
		return;
	note->pattern = f->shape & ~(uint32_t)MATCH_PATTERN;
	struct pattern *at = pattern_at(p, note->pattern);
	note->serial = at->serial;
	at->mark = p->marks;
}

static void give_back(struct match *m, uint32_t index)
{
	struct patterns *p = &m->patterns;
	const struct tier_note note = tier_notes(p->seat[p->coming_seat])[index];
	const struct pattern *at = patterns_noted(p, note);

	if (at != NULL && at->seat == p->coming_seat && at->mark != p->marks)
		patterns_move(m, note.pattern, PATTERN_INTERPRETED);
}

static void relieve(struct match *m, uint32_t index)
{
	struct patterns *p = &m->patterns;
	const struct tier_note note = tier_notes(p->seat[p->coming_seat])[index];

	if (patterns_noted(p, note) != NULL)
		patterns_move(m, note.pattern, p->coming_seat);
}

/* Of the tier that this stage goes through. */
static uint32_t pieces(const struct patterns *p)
{
	const struct tier *t = p->stage == TIER_LOOK_UP ? p->coming : p->seat[p->coming_seat];

	return t == NULL ? 0 : tier_count(t);
}

static void piece(struct match *m)
{
	struct patterns *p = &m->patterns;
	const uint32_t index = p->coming_at++;

	if (p->stage == TIER_LOOK_UP)
		look_up(m, index);
	else if (p->stage == TIER_GIVE_BACK)
		give_back(m, index);
	else
		relieve(m, index);
}

/* The end of a stage. True: a tier is out of use. */
static bool turn_over(struct patterns *p, struct tier **left)
{
	const enum tier_stage ended = p->stage;

	p->stage = ended == TIER_RELIEVE ? TIER_NONE : ended + 1;
	p->coming_at = 0;
	if (ended != TIER_GIVE_BACK)
		return false;
	*left = p->seat[p->coming_seat];
	p->seat[p->coming_seat] = p->coming;
	p->coming = NULL;
	return true;
}

bool match_tier_step(struct match *m, uint32_t budget, struct tier **left)
{
	struct patterns *p = &m->patterns;

	ASSERT(!m->matching);
	for (; p->stage != TIER_NONE && budget > 0; budget--) {
		if (p->coming_at < pieces(p))
			piece(m);
		else if (turn_over(p, left))
			return true;
	}
	return false;
}
