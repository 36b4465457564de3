/* regex.h - regular expressions over a topic: read, run without Hyperscan, said to Hyperscan.
 *
 * One reading serves both engines: an expression becomes a tree, the tree a
 * program for regex_run or the text of an equal expression in Hyperscan's words, so they
 * cannot differ about what it means. It is found anywhere in a topic unless
 * anchored; a character is one of UTF-8. The words are few on purpose:
 *
 *	c . [a-z] [^a-z] \d \D \w \W \s \S \c (...) (?:...) | * + ? {m} {m,} {m,n} ^ $
 *
 * ^ and $ stand only at the ends of a whole alternative; a set names ASCII
 * alone, a negated one has all other characters, too. There are neither
 * back-references nor look-around: running takes time in proportion to steps
 * times characters, whatever a peer sends. docs/reference/filters.md.
 *
 * Memory: the caller's. Topics are well-formed UTF-8 without U+0000; others are safe. */
#pragma once
#include "dataplane/base/attr.h"
#include "dataplane/base/err.h"
#include "dataplane/base/writer.h"

enum {
	REGEX_SIZE_MAX = 1024,  /* bytes of an expression */
	REGEX_STEPS_MAX = 1024, /* of its program: {m,n} is so many copies */
	REGEX_NODES_MAX = 2 * REGEX_SIZE_MAX + 2,
	REGEX_SETS_MAX = 256,
	REGEX_DEPTH_MAX = 32, /* groups in groups */
	REGEX_NONE = UINT16_MAX,
};

struct regex_set {
	uint64_t ascii[2]; /* bit c: it has the character c */
	uint64_t others;   /* 1: and all beyond ASCII */
};

enum regex_kind { REGEX_EMPTY, REGEX_CHAR, REGEX_SET, REGEX_JOIN, REGEX_EITHER, REGEX_REPEAT };

struct regex_node {
	uint8_t kind;
	bool begins, ends;    /* a whole alternative: ^ stands before it, $ behind it */
	uint16_t first;       /* JOIN, EITHER, REPEAT: its first child */
	uint16_t next;        /* the parent's next child */
	uint16_t least, most; /* REPEAT; most REGEX_NONE: no limit. SET: least is which */
	uint32_t character;
};

struct regex_tree {
	uint16_t root; /* EITHER, whose children are the whole alternatives */
	uint16_t nodes, sets;
	struct regex_node node[REGEX_NODES_MAX];
	struct regex_set set[REGEX_SETS_MAX];
};

/* A program is a row of words: a head, steps, sets. */
enum { REGEX_PROGRAM_BYTES_MAX = 8 + REGEX_STEPS_MAX * 8 + REGEX_SETS_MAX * 24 };

struct regex_room { /* for running one; nothing lasts in it */
	uint16_t here[REGEX_STEPS_MAX], there[REGEX_STEPS_MAX];
	uint32_t seen[REGEX_STEPS_MAX]; /* at which character a step was noted last */
	uint16_t stack[2 * REGEX_STEPS_MAX];
};

/* ERR_FILTER_MALFORMED, ERR_EXPRESSION_SIZE. */
MUST_USE enum err regex_read(struct span expression, struct regex_tree *out);
/* `program`: REGEX_PROGRAM_BYTES_MAX, aligned to 8. ERR_EXPRESSION_SIZE: too many steps. */
MUST_USE enum err regex_compile(const struct regex_tree *tree, void *program, size_t *size);
uint32_t regex_steps(const void *program);
MUST_USE bool regex_run(const void *program, struct span topic, struct regex_room *room);
/* In Hyperscan's words; the text that is scanned is a topic and a NUL, which stands for $. */
void regex_say(const struct regex_tree *tree, struct writer *out);

static inline bool regex_set_has(const struct regex_set *s, uint32_t character)
{
	return character < 128 ? s->ascii[character / 64] >> (character % 64) & 1 : s->others;
}
