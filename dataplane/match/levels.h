/* levels.h - a topic or filter cut at its '/'s (MQTT 5.0 4.7.1.1). Empty levels are levels.
 *
 * Works on bytes: whether they are UTF-8 is the codec's to judge. Not here: matching. */
#pragma once
#include "dataplane/match/match.h"

struct levels {
	uint32_t count;
	uint32_t start[MATCH_LEVELS_MAX + 1]; /* of each level; then the text's size + 1 */
};

/* False: more than MATCH_LEVELS_MAX levels. */
MUST_USE bool levels_cut(struct span text, struct levels *out);

/* Is it a well-formed filter of levels, as match_filter_check says of all forms? */
MUST_USE enum err match_levels_check(struct span filter);

static inline struct span levels_at(struct span text, const struct levels *l, uint32_t i)
{
	return (struct span){text.at + l->start[i], l->start[i + 1] - 1 - l->start[i]};
}

static inline bool levels_is(struct span level, char c)
{
	return level.size == 1 && level.at[0] == (uint8_t)c;
}
