/* filter_fuzz.c - filters behind "$filter/" as peers send them, against the oracle.
 *
 * The input is lines: a filter, then topics. Whatever is read is also run, and
 * said in Hyperscan's words, which must fit. */
#include "dataplane/match/internal.h"
#include "dataplane/match/naive.h"

#include "dataplane/base/assert.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct line {
	struct filter_form form;
	struct regex_tree tree;
	bool fits; /* its program does */
	uint64_t program[REGEX_PROGRAM_BYTES_MAX / 8];
	uint8_t levels[4096];
	uint8_t said[FORM_SAID_MAX];
	struct regex_room room;
};

static struct line line;

static struct span cut_line(struct span *in)
{
	const uint8_t *end = in->size == 0 ? NULL : memchr(in->at, '\n', in->size);
	const size_t size = end == NULL ? in->size : (size_t)(end - in->at);
	const struct span out = span_of(in->at, size);

	*in = span_skip(*in, end == NULL ? size : size + 1);
	return out;
}

static bool read_filter(struct span filter)
{
	struct writer w = writer_of(line.said, sizeof(line.said));
	size_t size;

	if (filter.size > sizeof(line.levels) || form_read(filter, &line.form) != ERR_NONE)
		return false;
	if (line.form.kind != FORM_EXPRESSION) {
		form_levels(&line.form, line.levels);
		return true;
	}
	if (regex_read(line.form.body, &line.tree) != ERR_NONE)
		return false;
	line.fits = regex_compile(&line.tree, line.program, &size) == ERR_NONE;
	ASSERT(!line.fits || size <= sizeof(line.program));
	const enum err e = form_say(filter, &line.tree, &w);
	ASSERT(e == ERR_NONE);
	return line.fits;
}

/* The oracle knows well-formed topics, for expressions short ones of ASCII. */
static bool is_plain(struct span topic)
{
	for (size_t i = 0; i < topic.size; i++)
		if (topic.at[i] >= 0x80)
			return false;
	return topic.size <= NAIVE_TOPIC_MAX;
}

static void compare(struct span topic)
{
	const struct span levels = span_of(line.levels, line.form.body.size);

	if (topic.size == 0 || topic.size > FORM_TOPIC_MAX)
		return;
	if (line.form.kind == FORM_EXPRESSION) {
		const bool found = regex_run(line.program, topic, &line.room);
		ASSERT(!is_plain(topic) || memchr(topic.at, 0, topic.size) != NULL ||
			found == naive_expression_matches(&line.tree, topic));
		return;
	}
	if (topic.size > NAIVE_TOPIC_MAX || levels.size > NAIVE_TOPIC_MAX)
		return; /* it goes back and forth */
	const bool seen = topic.at[0] != '$' || line.form.sees_dollar;
	const bool found = seen && form_matches(levels, topic);
	if (line.form.kind == FORM_WORDS)
		ASSERT(found == naive_words_match(line.form.body, topic));
	else
		ASSERT(found == naive_matches(line.form.body, topic));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span in = span_of(data, size);

	if (!read_filter(cut_line(&in)))
		return 0;
	while (in.size > 0)
		compare(cut_line(&in));
	return 0;
}
