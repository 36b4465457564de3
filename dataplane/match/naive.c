/* naive.c - see naive.h. Slow and plain on purpose. */
#include "dataplane/match/naive.h"

enum { LEVELS_MAX = 128, BYTES_MAX = 65535 };

/* Cuts the first level off; *more says whether a '/' followed it. */
static struct span cut(struct span *rest, bool *more)
{
	struct span level = {rest->at, 0};

	while (level.size < rest->size && rest->at[level.size] != '/')
		level.size++;
	*more = level.size < rest->size;
	*rest = span_skip(*rest, level.size + (*more ? 1 : 0));
	return level;
}

static bool is(struct span level, char c)
{
	return level.size == 1 && level.at[0] == (uint8_t)c;
}

static bool contains(struct span s, uint8_t c)
{
	return s.size != 0 && memchr(s.at, c, s.size) != NULL;
}

bool naive_filter_ok(struct span filter)
{
	size_t levels = 0;
	bool more = true;

	if (filter.size < 1 || filter.size > BYTES_MAX || contains(filter, 0))
		return false;
	while (more) {
		const struct span level = cut(&filter, &more);
		if (contains(level, '#') && (!is(level, '#') || more))
			return false;
		if (contains(level, '+') && !is(level, '+'))
			return false;
		levels++;
	}
	return levels <= LEVELS_MAX;
}

bool naive_topic_ok(struct span topic)
{
	size_t levels = 0;

	if (topic.size < 1 || topic.size > BYTES_MAX || contains(topic, 0) ||
		contains(topic, '+') || contains(topic, '#'))
		return false;
	for (bool more = true; more; levels++)
		cut(&topic, &more);
	return levels <= LEVELS_MAX;
}

bool naive_matches(struct span filter, struct span topic)
{
	bool filter_more, topic_more;

	/* 4.7.2: "The Server MUST NOT match Topic Filters starting with a wildcard character (#
	 * or +) with Topic Names beginning with a $ character." */
	if (topic.at[0] == '$' && (filter.at[0] == '+' || filter.at[0] == '#'))
		return false;
	for (;;) {
		const struct span f = cut(&filter, &filter_more);
		if (is(f, '#'))
			return true; /* any number of levels */
		const struct span t = cut(&topic, &topic_more);
		if (!is(f, '+') && !span_equal(f, t))
			return false;
		if (!topic_more) /* "sport/#" also matches the singular "sport": 4.7.1.2 */
			return !filter_more || is(filter, '#');
		if (!filter_more)
			return false;
	}
}
