/* regex_say.c - a tree in Hyperscan's words. See regex.h.
 *
 * Bytes, not characters: what is beyond ASCII is the bytes of its UTF-8. One that no
 * set names is a lead byte and those behind it; a topic is well-formed, so nothing else fits. */
#include "dataplane/match/regex.h"

static void say(struct writer *w, const char *text)
{
	write_bytes(w, span_str(text));
}

static void say_byte(struct writer *w, uint32_t byte)
{
	static const char digits[] = "0123456789abcdef";
	const char text[] = {'\\', 'x', digits[byte >> 4 & 15], digits[byte & 15]};

	write_bytes(w, span_of(text, sizeof(text)));
}

static void say_number(struct writer *w, uint32_t n)
{
	if (n >= 10)
		say_number(w, n / 10);
	write_u8(w, (uint8_t)('0' + n % 10));
}

static void say_character(struct writer *w, uint32_t c)
{
	if (c < 0x80) {
		say_byte(w, c);
		return;
	}
	say(w, "(?:");
	if (c >= 0x10000) {
		say_byte(w, 0xf0 | c >> 18);
		say_byte(w, 0x80 | (c >> 12 & 63));
	} else if (c >= 0x800) {
		say_byte(w, 0xe0 | c >> 12);
	}
	if (c >= 0x800)
		say_byte(w, 0x80 | (c >> 6 & 63));
	else
		say_byte(w, 0xc0 | c >> 6);
	say_byte(w, 0x80 | (c & 63));
	say(w, ")");
}

static void say_ascii(struct writer *w, const struct regex_set *s)
{
	say(w, "[");
	for (uint32_t c = 1; c < 128; c++) {
		const uint32_t from = c;
		if (!regex_set_has(s, c))
			continue;
		while (c + 1 < 128 && regex_set_has(s, c + 1))
			c++;
		say_byte(w, from);
		if (c == from)
			continue;
		say(w, "-");
		say_byte(w, c);
	}
	say(w, "]");
}

static void say_set(struct writer *w, const struct regex_set *s)
{
	const bool ascii = (s->ascii[0] | s->ascii[1]) != 0;

	if (!s->others) {
		say_ascii(w, s);
		return;
	}
	say(w, "(?:");
	if (ascii) {
		say_ascii(w, s);
		say(w, "|");
	}
	say(w, "[\\xc2-\\xf4][\\x80-\\xbf]{1,3})");
}

static void say_node(const struct regex_tree *t, const struct regex_node *n, struct writer *w);

static void say_repeat(const struct regex_tree *t, const struct regex_node *n, struct writer *w)
{
	say(w, "(?:");
	if (n->most != 0)
		say_node(t, &t->node[n->first], w);
	say(w, "){");
	say_number(w, n->most == 0 ? 1 : n->least);
	say(w, ",");
	if (n->most != REGEX_NONE)
		say_number(w, n->most == 0 ? 1 : n->most);
	say(w, "}");
}

static void say_either(const struct regex_tree *t, const struct regex_node *n, struct writer *w)
{
	say(w, "(?:");
	for (uint16_t i = n->first; i != REGEX_NONE; i = t->node[i].next) {
		if (i != n->first)
			say(w, "|");
		say_node(t, &t->node[i], w);
	}
	say(w, ")");
}

static void say_join(const struct regex_tree *t, const struct regex_node *n, struct writer *w)
{
	if (n->begins)
		say(w, "^");
	for (uint16_t i = n->first; i != REGEX_NONE; i = t->node[i].next)
		say_node(t, &t->node[i], w);
	if (n->ends)
		say_byte(w, 0);
}

static void say_node(const struct regex_tree *t, const struct regex_node *n, struct writer *w)
{
	switch ((enum regex_kind)n->kind) {
	case REGEX_EMPTY:
		return;
	case REGEX_CHAR:
		say_character(w, n->character);
		return;
	case REGEX_SET:
		say_set(w, &t->set[n->least]);
		return;
	case REGEX_JOIN:
		say_join(t, n, w);
		return;
	case REGEX_EITHER:
		say_either(t, n, w);
		return;
	case REGEX_REPEAT:
		say_repeat(t, n, w);
	}
}

void regex_say(const struct regex_tree *tree, struct writer *out)
{
	say_either(tree, &tree->node[tree->root], out);
}
