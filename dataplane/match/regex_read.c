/* regex_read.c - the text of an expression to its tree. See regex.h.
 *
 * A reader that goes down by levels: either, join, repeat, atom. The depth of groups is
 * bounded, so is the stack. */
#include "dataplane/match/regex.h"

#include "dataplane/base/assert.h"

struct reading {
	struct regex_tree *tree;
	const uint8_t *at, *end;
	uint32_t depth;
	enum err err; /* the first; sticks */
};

static uint16_t read_either(struct reading *r);

static void fail(struct reading *r, enum err e)
{
	if (r->err == ERR_NONE)
		r->err = e;
	r->at = r->end;
}

static bool more(const struct reading *r)
{
	return r->at < r->end;
}

static bool is_next(const struct reading *r, char c)
{
	return more(r) && *r->at == (uint8_t)c;
}

static bool take(struct reading *r, char c)
{
	const bool there = is_next(r, c);

	r->at += there;
	return there;
}

/* Always a node: after a failure one that is as good as any. */
static uint16_t node_of(struct reading *r, enum regex_kind kind)
{
	if (r->tree->nodes == REGEX_NODES_MAX) {
		fail(r, ERR_EXPRESSION_SIZE);
		return 0;
	}
	r->tree->node[r->tree->nodes] =
		(struct regex_node){.kind = (uint8_t)kind, .first = REGEX_NONE, .next = REGEX_NONE};
	return r->tree->nodes++;
}

static struct regex_node *at(struct reading *r, uint16_t node)
{
	return &r->tree->node[node];
}

static void set_add(struct regex_set *s, uint32_t from, uint32_t to)
{
	for (uint32_t c = from; c <= to; c++)
		s->ascii[c / 64] |= 1ull << (c % 64);
}

/* Of \d, \w, \s; the large letter is the opposite. False: no such. */
static bool set_named(uint8_t name, struct regex_set *s)
{
	*s = (struct regex_set){0};
	switch (name | 0x20) {
	case 'd':
		set_add(s, '0', '9');
		return true;
	case 'w':
		set_add(s, '0', '9');
		set_add(s, 'a', 'z');
		set_add(s, 'A', 'Z');
		set_add(s, '_', '_');
		return true;
	case 's':
		set_add(s, '\t', '\r');
		set_add(s, ' ', ' ');
		return true;
	default:
		return false;
	}
}

/* U+0000 is in no set: no topic has it. */
static void set_turn(struct regex_set *s)
{
	s->ascii[0] = ~s->ascii[0] & ~1ull;
	s->ascii[1] = ~s->ascii[1];
	s->others = !s->others;
}

static uint16_t set_node(struct reading *r, const struct regex_set *s)
{
	const uint16_t node = node_of(r, REGEX_SET);
	uint16_t i = 0;

	while (i < r->tree->sets && memcmp(&r->tree->set[i], s, sizeof(*s)) != 0)
		i++;
	if (i == REGEX_SETS_MAX) {
		fail(r, ERR_EXPRESSION_SIZE);
		return node;
	}
	r->tree->set[i] = *s;
	if (i == r->tree->sets)
		r->tree->sets++;
	at(r, node)->least = i;
	return node;
}

static bool is_mark(uint8_t c)
{
	return c > ' ' && c < 0x7f && !(c >= '0' && c <= '9') &&
	       !((c | 0x20) >= 'a' && (c | 0x20) <= 'z');
}

/* Bytes of the character at r->at; a byte that begins none stands for itself. */
static uint32_t take_character(struct reading *r)
{
	const uint8_t lead = *r->at++;
	uint32_t left = lead >= 0xf0 ? 3 : lead >= 0xe0 ? 2 : lead >= 0xc2 ? 1 : 0;
	uint32_t c = left == 3 ? lead & 7 : left == 2 ? lead & 15 : left == 1 ? lead & 31 : lead;

	if (lead == 0 || (lead >= 0x80 && left == 0))
		fail(r, ERR_FILTER_MALFORMED);
	for (; left > 0; left--) {
		if (!more(r) || (*r->at & 0xc0) != 0x80) {
			fail(r, ERR_FILTER_MALFORMED);
			return c;
		}
		c = c << 6 | (*r->at++ & 63);
	}
	return c;
}

static uint16_t character_node(struct reading *r, uint32_t c)
{
	const uint16_t node = node_of(r, REGEX_CHAR);

	at(r, node)->character = c;
	return node;
}

static uint16_t read_escape(struct reading *r)
{
	struct regex_set s;

	if (!more(r)) {
		fail(r, ERR_FILTER_MALFORMED);
		return node_of(r, REGEX_EMPTY);
	}
	const uint8_t c = *r->at++;
	if (set_named(c, &s)) {
		if ((c & 0x20) == 0)
			set_turn(&s);
		return set_node(r, &s);
	}
	if (!is_mark(c))
		fail(r, ERR_FILTER_MALFORMED);
	return character_node(r, c);
}

/* One end of a range, or a named set, which is added at once and answers 0. */
static uint32_t read_set_part(struct reading *r, struct regex_set *s)
{
	struct regex_set named;

	if (!more(r) || *r->at >= 0x80 || *r->at == 0) {
		fail(r, ERR_FILTER_MALFORMED);
		return 0;
	}
	const uint8_t c = *r->at++;
	/* What other dialects read as [:class:]. */
	if (c == '[' && is_next(r, ':'))
		fail(r, ERR_FILTER_MALFORMED);
	if (c != '\\')
		return c;
	if (!more(r)) {
		fail(r, ERR_FILTER_MALFORMED);
		return 0;
	}
	const uint8_t name = *r->at++;
	if (is_mark(name))
		return name;
	if ((name & 0x20) == 0 || !set_named(name, &named)) {
		fail(r, ERR_FILTER_MALFORMED);
		return 0;
	}
	s->ascii[0] |= named.ascii[0];
	s->ascii[1] |= named.ascii[1];
	return 0;
}

static void read_range(struct reading *r, struct regex_set *s)
{
	const uint32_t from = read_set_part(r, s);
	uint32_t to = from;

	if (r->end - r->at >= 2 && r->at[0] == '-' && r->at[1] != ']') {
		r->at++;
		to = read_set_part(r, s);
		if (from == 0 || to < from)
			fail(r, ERR_FILTER_MALFORMED);
	}
	if (r->err == ERR_NONE && from != 0)
		set_add(s, from, to);
}

/* Behind its '['. A ']' that comes first is one of the set, as everywhere. */
static uint16_t read_set(struct reading *r)
{
	struct regex_set s = {0};
	const bool turned = take(r, '^');

	do
		read_range(r, &s);
	while (more(r) && !is_next(r, ']'));
	if (!take(r, ']'))
		fail(r, ERR_FILTER_MALFORMED);
	if (turned)
		set_turn(&s);
	return set_node(r, &s);
}

static uint16_t read_group(struct reading *r)
{
	if (take(r, '?') && !take(r, ':'))
		fail(r, ERR_FILTER_MALFORMED);
	if (++r->depth > REGEX_DEPTH_MAX)
		fail(r, ERR_EXPRESSION_SIZE);
	const uint16_t node = read_either(r);
	r->depth--;
	if (!take(r, ')'))
		fail(r, ERR_FILTER_MALFORMED);
	return node;
}

static uint16_t read_any(struct reading *r)
{
	struct regex_set s = {0};

	set_turn(&s);
	return set_node(r, &s);
}

static uint16_t read_atom(struct reading *r)
{
	switch (*r->at) {
	case '(':
		r->at++;
		return read_group(r);
	case '[':
		r->at++;
		return read_set(r);
	case '.':
		r->at++;
		return read_any(r);
	case '\\':
		r->at++;
		return read_escape(r);
	case '*':
	case '+':
	case '?':
	case '{':
	case '}':
	case ']':
	case '^':
	case '$':
		fail(r, ERR_FILTER_MALFORMED);
		return node_of(r, REGEX_EMPTY);
	default:
		return character_node(r, take_character(r));
	}
}

static uint16_t read_number(struct reading *r)
{
	uint32_t n = 0;

	if (!more(r) || *r->at < '0' || *r->at > '9')
		fail(r, ERR_FILTER_MALFORMED);
	while (more(r) && *r->at >= '0' && *r->at <= '9') {
		n = n * 10 + (*r->at++ - '0');
		if (n > REGEX_STEPS_MAX) {
			fail(r, ERR_EXPRESSION_SIZE);
			return 0;
		}
	}
	return (uint16_t)n;
}

static void read_bounds(struct reading *r, uint16_t *least, uint16_t *most)
{
	*least = *most = read_number(r);
	if (take(r, ','))
		*most = is_next(r, '}') ? REGEX_NONE : read_number(r);
	if (!take(r, '}') || *most < *least)
		fail(r, ERR_FILTER_MALFORMED);
}

/* A '?' behind it asks for the shortest match: which is a match all the same. */
static uint16_t read_repeat(struct reading *r)
{
	const uint16_t atom = read_atom(r);
	uint16_t least = 0, most = REGEX_NONE;

	if (take(r, '?'))
		most = 1;
	else if (take(r, '+'))
		least = 1;
	else if (take(r, '{'))
		read_bounds(r, &least, &most);
	else if (!take(r, '*'))
		return atom;
	(void)take(r, '?');
	const uint16_t node = node_of(r, REGEX_REPEAT);
	at(r, node)->first = atom;
	at(r, node)->least = least;
	at(r, node)->most = most;
	return node;
}

static bool is_over(const struct reading *r)
{
	return !more(r) || is_next(r, '|') || is_next(r, ')') || is_next(r, '$');
}

static uint16_t read_join(struct reading *r)
{
	const uint16_t node = node_of(r, REGEX_JOIN);
	const bool whole = r->depth == 0;
	uint16_t last = REGEX_NONE;

	if (whole)
		at(r, node)->begins = take(r, '^');
	while (!is_over(r)) {
		const uint16_t part = read_repeat(r);
		if (last == REGEX_NONE)
			at(r, node)->first = part;
		else
			at(r, last)->next = part;
		last = part;
	}
	if (whole)
		at(r, node)->ends = take(r, '$');
	return node;
}

static uint16_t read_either(struct reading *r)
{
	const uint16_t node = node_of(r, REGEX_EITHER);
	uint16_t last = REGEX_NONE;

	do {
		const uint16_t branch = read_join(r);
		if (last == REGEX_NONE)
			at(r, node)->first = branch;
		else
			at(r, last)->next = branch;
		last = branch;
	} while (take(r, '|'));
	return node;
}

enum err regex_read(struct span expression, struct regex_tree *out)
{
	struct reading r = {.tree = out};

	if (expression.size == 0)
		return ERR_FILTER_MALFORMED;
	if (expression.size > REGEX_SIZE_MAX)
		return ERR_EXPRESSION_SIZE;
	r.at = expression.at;
	r.end = expression.at + expression.size;
	out->nodes = out->sets = 0;
	out->root = read_either(&r);
	/* A ')' too many, or an anchor where it has no place. */
	if (r.err == ERR_NONE && more(&r))
		return ERR_FILTER_MALFORMED;
	return r.err;
}
