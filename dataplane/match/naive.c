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

/* A word against a level: in words a '/' is what a '.' is in levels. */
static bool is_word(struct span word, struct span level)
{
	if (is(word, '*'))
		return true;
	if (word.size != level.size)
		return false;
	for (size_t i = 0; i < word.size; i++)
		if (word.at[i] != level.at[i] && !(word.at[i] == '/' && level.at[i] == '.'))
			return false;
	return true;
}

static struct span cut_word(struct span *rest, bool *more)
{
	struct span word = {rest->at, 0};

	while (word.size < rest->size && rest->at[word.size] != '.')
		word.size++;
	*more = word.size < rest->size;
	*rest = span_skip(*rest, word.size + (*more ? 1 : 0));
	return word;
}

/* `more`: there is a word, or a level, even if its text is empty. */
static bool words_match(struct span words, bool word_more, struct span topic, bool topic_more)
{
	struct span words_after = words, topic_after = topic;
	bool word_next, topic_next = false;

	if (!word_more)
		return !topic_more;
	const struct span word = cut_word(&words_after, &word_next);
	if (!topic_more)
		return is(word, '#') && words_match(words_after, word_next, topic, false);
	const struct span level = cut(&topic_after, &topic_next);
	if (is(word, '#'))
		return words_match(words_after, word_next, topic, true) ||
		       words_match(words, true, topic_after, topic_next);
	return is_word(word, level) && words_match(words_after, word_next, topic_after, topic_next);
}

bool naive_words_match(struct span words, struct span topic)
{
	if (topic.at[0] == '$') {
		bool more;
		struct span rest = words;
		const struct span first = cut_word(&rest, &more);
		if (is(first, '*') || is(first, '#'))
			return false;
	}
	return words_match(words, true, topic, true);
}

struct meaning {
	const struct regex_tree *tree;
	struct span topic;
};

static uint32_t character(struct span s, size_t *size)
{
	static const uint8_t masks[] = {0, 0x7f, 31, 15, 7};
	const uint8_t lead = s.at[0];

	*size = lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
	uint32_t c = lead & masks[*size];
	for (size_t i = 1; i < *size && i < s.size; i++)
		c = c << 6 | (s.at[i] & 63);
	return c;
}

static uint64_t over_character(const struct meaning *m, const struct regex_node *n, uint64_t places)
{
	uint64_t out = 0;

	for (size_t i = 0; i < m->topic.size; i++) {
		size_t size;
		if (!(places >> i & 1))
			continue;
		const uint32_t c = character(span_skip(m->topic, i), &size);
		if (n->kind == REGEX_CHAR ? c == n->character
					  : regex_set_has(&m->tree->set[n->least], c))
			out |= 1ull << (i + size);
	}
	return out;
}

static uint64_t over(const struct meaning *m, const struct regex_node *n, uint64_t places);

static uint64_t over_repeat(const struct meaning *m, const struct regex_node *n, uint64_t places)
{
	const struct regex_node *what = &m->tree->node[n->first];

	for (uint32_t i = 0; i < n->least; i++)
		places = over(m, what, places);
	for (uint32_t i = n->least; i < n->most || n->most == REGEX_NONE; i++) {
		const uint64_t more = places | over(m, what, places);
		if (more == places)
			break;
		places = more;
	}
	return places;
}

static uint64_t over_join(const struct meaning *m, const struct regex_node *n, uint64_t places)
{
	if (n->begins)
		places &= 1;
	for (uint16_t i = n->first; i != REGEX_NONE; i = m->tree->node[i].next)
		places = over(m, &m->tree->node[i], places);
	return n->ends ? places & 1ull << m->topic.size : places;
}

static uint64_t over(const struct meaning *m, const struct regex_node *n, uint64_t places)
{
	uint64_t out = 0;

	switch ((enum regex_kind)n->kind) {
	case REGEX_EMPTY:
		return places;
	case REGEX_CHAR:
	case REGEX_SET:
		return over_character(m, n, places);
	case REGEX_JOIN:
		return over_join(m, n, places);
	case REGEX_EITHER:
		for (uint16_t i = n->first; i != REGEX_NONE; i = m->tree->node[i].next)
			out |= over(m, &m->tree->node[i], places);
		return out;
	case REGEX_REPEAT:
		return over_repeat(m, n, places);
	}
	return out;
}

bool naive_expression_matches(const struct regex_tree *tree, struct span topic)
{
	const struct meaning m = {tree, topic};
	uint64_t places = 1ull << topic.size;

	for (size_t i = 0; i < topic.size; i++)
		if ((topic.at[i] & 0xc0) != 0x80)
			places |= 1ull << i;
	return over(&m, &tree->node[tree->root], places) != 0;
}
