/* form_say.c - filters of all forms in Hyperscan's words.
 *
 * What is scanned is a topic and a NUL behind it, which is the end of the last
 * level; so none of them needs Hyperscan's own '$', which costs it three times
 * the work to compile. That topics of '$' are seen by few is not said: whoever scans knows. */
#include "dataplane/match/form.h"

#include "dataplane/match/levels.h"

static void say(struct writer *w, const char *text)
{
	write_bytes(w, span_str(text));
}

static void say_level(struct writer *w, struct span level)
{
	static const char digits[] = "0123456789abcdef";

	if (levels_is(level, '+')) {
		say(w, "[^/\\x00]*");
		return;
	}
	for (size_t i = 0; i < level.size; i++) {
		const uint8_t c = level.at[i];
		const char text[] = {'\\', 'x', digits[c >> 4], digits[c & 15]};
		write_bytes(w, span_of(text, sizeof(text)));
	}
}

/* '#' in the middle is any number of whole levels, each with its '/'; at the end it is whatever
 * follows the level before, be it nothing. */
static void say_levels(struct writer *w, struct span text)
{
	struct levels l;

	if (!levels_cut(text, &l))
		return;
	say(w, "^");
	while (l.count > 1 && levels_is(levels_at(text, &l, l.count - 1), '#') &&
		levels_is(levels_at(text, &l, l.count - 2), '#'))
		l.count--;
	for (uint32_t i = 0; i < l.count; i++) {
		const bool last = i + 1 == l.count;
		const struct span level = levels_at(text, &l, i);
		if (levels_is(level, '#')) {
			say(w, last ? "" : "(?:[^\\x00]*/)?");
			continue;
		}
		say_level(w, level);
		if (last)
			say(w, "\\x00");
		else if (i + 2 == l.count && levels_is(levels_at(text, &l, i + 1), '#'))
			say(w, "[/\\x00]");
		else
			say(w, "/");
	}
}

enum err form_say(struct span filter, struct regex_tree *tree, struct writer *out)
{
	uint8_t text[FORM_TEXT_MAX];
	struct filter_form form;

	enum err e = form_read(filter, &form);
	if (e != ERR_NONE)
		return e;
	if (form.kind == FORM_EXPRESSION) {
		e = regex_read(form.body, tree);
		if (e == ERR_NONE)
			regex_say(tree, out);
	} else if (form.body.size > sizeof(text)) {
		e = ERR_EXPRESSION_SIZE;
	} else {
		form_levels(&form, text);
		say_levels(out, span_of(text, form.body.size));
	}
	if (e == ERR_NONE && out->bad)
		e = ERR_EXPRESSION_SIZE;
	return e;
}
