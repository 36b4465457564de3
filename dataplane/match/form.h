/* form.h - what kind of filter is it, and what stands in it? The forms that the matcher knows.
 *
 *	a/+/c/#                 levels: MQTT's own (4.7)
 *	$filter/amqp/a.*.#.z    words: as an AMQP binding key; `*` one word, `#` any number
 *	$filter/regex/EXPR      a regular expression over the whole topic (regex.h)
 *
 * Words are levels written otherwise: '.' stands for '/' and '/' for '.', so
 * each key has one topic and each topic one key. Where `#` stands last or not at all, a
 * filter of words has an equal one of levels, and is treated as that. %HH stands for a byte:
 * many a client would not send '#' or '+' where MQTT has no place for them. Other
 * names behind $filter/ are kept for later and refused.
 *
 * Spec: MQTT 5.0 4.7; AMQP 0-9-1 3.1.3.3. For people: docs/reference/filters.md. */
#pragma once
#include "dataplane/match/regex.h"

enum {
	FORM_TOPIC_MAX = 1024,               /* bytes: a pattern does not match longer topics */
	FORM_BODY_MAX = 4096,                /* bytes behind a prefix, before %HH is read */
	FORM_TEXT_MAX = REGEX_SIZE_MAX,      /* of a pattern: what stands behind its prefix */
	FORM_SAID_MAX = 64 * REGEX_SIZE_MAX, /* of a pattern in Hyperscan's words */
};

#define FORM_PREFIX "$filter/"

enum form_kind { FORM_LEVELS, FORM_WORDS, FORM_EXPRESSION };

struct filter_form {
	uint8_t kind;
	bool irregular;   /* it can only be a pattern */
	bool sees_dollar; /* topics that start with '$' (MQTT-5.0 4.7.2-1) */
	struct span body; /* behind the prefix, %HH read; in the filter, or in room */
	uint8_t room[FORM_BODY_MAX];
};

static inline bool form_is_special(struct span filter)
{
	const size_t n = sizeof(FORM_PREFIX) - 1;

	return filter.size >= n && memcmp(filter.at, FORM_PREFIX, n) == 0;
}

/* ERR_MQTT_FILTER, ERR_FILTER_MALFORMED, ERR_TOPIC_TOO_DEEP, ERR_EXPRESSION_SIZE; does not look
 * into an expression. *out must stay where it is. */
MUST_USE enum err form_read(struct span filter, struct filter_form *out);
/* Levels as they are, words as levels; '#' may stand anywhere. `out`: body.size bytes. */
void form_levels(const struct filter_form *form, uint8_t *out);
/* Does a topic match levels in which '#' may stand anywhere? */
MUST_USE bool form_matches(struct span levels, struct span topic);
/* For Hyperscan; `tree` is room to work in. Errors: those of form_read and regex_read. */
MUST_USE enum err form_say(struct span filter, struct regex_tree *tree, struct writer *out);
