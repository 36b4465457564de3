/* form.c - reading filters of all forms, and matching those of levels the slow way. */
#include "dataplane/match/form.h"

#include "dataplane/base/assert.h"
#include "dataplane/match/levels.h"

static bool take_prefix(struct span *s, const char *name)
{
	const struct span prefix = span_str(name);

	if (s->size < prefix.size || memcmp(s->at, prefix.at, prefix.size) != 0)
		return false;
	*s = span_skip(*s, prefix.size);
	return true;
}

/* A '#' is a word of its own; with '+' in them no topic could be meant. */
static enum err read_words(struct filter_form *f)
{
	const struct span s = f->body;
	uint32_t words = 1;

	if (s.size == 0)
		return ERR_FILTER_MALFORMED;
	for (size_t i = 0; i < s.size; i++) {
		const uint8_t c = s.at[i];
		const bool first = i == 0 || s.at[i - 1] == '.';
		const bool last = i + 1 == s.size;
		if (c == 0 || c == '+')
			return ERR_FILTER_MALFORMED;
		if (c == '#' && !(first && (last || s.at[i + 1] == '.')))
			return ERR_FILTER_MALFORMED;
		f->irregular |= c == '#' && !last;
		words += c == '.';
	}
	f->sees_dollar = s.at[0] != '#' && !(s.at[0] == '*' && (s.size == 1 || s.at[1] == '.'));
	return words > MATCH_LEVELS_MAX ? ERR_TOPIC_TOO_DEEP : ERR_NONE;
}

static enum err read_expression(struct filter_form *f)
{
	struct span s = f->body;

	f->irregular = true;
	if (s.size == 0 || memchr(s.at, 0, s.size) != NULL)
		return ERR_FILTER_MALFORMED;
	(void)take_prefix(&s, "^");
	f->sees_dollar = take_prefix(&s, "\\$");
	return ERR_NONE;
}

static int digit(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return (c | 0x20) >= 'a' && (c | 0x20) <= 'f' ? (c | 0x20) - 'a' + 10 : -1;
}

/* Into the form's own room, where there is a '%' at all. */
static enum err decode(struct filter_form *f)
{
	const struct span s = f->body;
	size_t n = 0;

	if (s.size > FORM_BODY_MAX)
		return ERR_EXPRESSION_SIZE;
	if (s.size == 0 || memchr(s.at, '%', s.size) == NULL)
		return ERR_NONE;
	for (size_t i = 0; i < s.size; i++) {
		f->room[n] = s.at[i];
		if (s.at[i] == '%') {
			const int high = i + 2 < s.size ? digit(s.at[i + 1]) : -1;
			const int low = i + 2 < s.size ? digit(s.at[i + 2]) : -1;
			if (high < 0 || low < 0)
				return ERR_FILTER_MALFORMED;
			f->room[n] = (uint8_t)(high << 4 | low);
			i += 2;
		}
		n++;
	}
	f->body = span_of(f->room, n);
	return ERR_NONE;
}

static enum err read_special(struct filter_form *f)
{
	if (take_prefix(&f->body, "amqp/"))
		f->kind = FORM_WORDS;
	else if (take_prefix(&f->body, "regex/"))
		f->kind = FORM_EXPRESSION;
	else
		return ERR_FILTER_MALFORMED;
	const enum err e = decode(f);
	if (e != ERR_NONE)
		return e;
	return f->kind == FORM_WORDS ? read_words(f) : read_expression(f);
}

enum err form_read(struct span filter, struct filter_form *out)
{
	out->kind = FORM_LEVELS;
	out->irregular = out->sees_dollar = false;
	out->body = filter;
	if (filter.size > MATCH_FILTER_BYTES_MAX)
		return ERR_MQTT_FILTER;
	if (take_prefix(&out->body, FORM_PREFIX))
		return read_special(out);
	const enum err e = match_levels_check(filter);
	out->sees_dollar = e == ERR_NONE && filter.at[0] != '+' && filter.at[0] != '#';
	return e;
}

void form_levels(const struct filter_form *form, uint8_t *out)
{
	const struct span s = form->body;

	for (size_t i = 0; i < s.size; i++) {
		const bool alone =
			(i == 0 || s.at[i - 1] == '.') && (i + 1 == s.size || s.at[i + 1] == '.');
		out[i] = s.at[i];
		if (form->kind != FORM_WORDS)
			continue;
		if (s.at[i] == '.')
			out[i] = '/';
		else if (s.at[i] == '/')
			out[i] = '.';
		else if (s.at[i] == '*' && alone)
			out[i] = '+';
	}
}

/* A text level by level; `at` is beyond its size when it is through. */
struct walk {
	struct span text;
	size_t at;
};

static bool is_through(const struct walk *w)
{
	return w->at > w->text.size;
}

static struct span level_of(const struct walk *w)
{
	const struct span rest = span_skip(w->text, w->at);
	const uint8_t *end = rest.size == 0 ? NULL : memchr(rest.at, '/', rest.size);

	return span_of(rest.at, end == NULL ? rest.size : (size_t)(end - rest.at));
}

static void step(struct walk *w)
{
	w->at += level_of(w).size + 1;
}

static bool takes(const struct walk *filter, const struct walk *topic)
{
	const struct span want = level_of(filter);

	return levels_is(want, '+') || span_equal(want, level_of(topic));
}

/* The last '#' is the only one that ever needs to take more: those before have found their place
 * as early as can be. */
bool form_matches(struct span levels, struct span topic)
{
	struct walk f = {levels, 0}, t = {topic, 0};
	struct walk f_back = {levels, SIZE_MAX}, t_back = t;

	while (!is_through(&t)) {
		if (!is_through(&f) && levels_is(level_of(&f), '#')) {
			step(&f);
			f_back = f;
			t_back = t;
		} else if (!is_through(&f) && takes(&f, &t)) {
			step(&f);
			step(&t);
		} else if (f_back.at != SIZE_MAX) {
			step(&t_back);
			f = f_back;
			t = t_back;
		} else {
			return false;
		}
	}
	while (!is_through(&f) && levels_is(level_of(&f), '#'))
		step(&f);
	return is_through(&f);
}
