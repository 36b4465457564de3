/* regex_run.c - a tree to a program, and the program over a topic. See regex.h.
 *
 * Thompson's construction: all ways through the program are followed at once,
 * one character at a time, so no expression takes longer than its steps for
 * each of them. */
#include "dataplane/match/regex.h"

#include "dataplane/base/assert.h"

enum { WORK_MAX = 64 * REGEX_STEPS_MAX }; /* nodes visited: {m,n} of nothing makes no step */

enum step_kind { STEP_CHAR, STEP_SET, STEP_FORK, STEP_BEGIN, STEP_END, STEP_FOUND };

/* CHAR: character x | y << 16; SET: set x; FORK: to x and y. The others go on behind themselves. */
struct step {
	uint16_t kind;
	uint16_t x, y;
	uint16_t spare;
};

struct program {
	uint16_t steps;
	uint16_t sets;
	uint16_t anchored; /* it begins with the topic or not at all */
	uint16_t spare;
	struct step step[]; /* and the sets behind them */
};

static_assert(sizeof(struct step) == 8 && sizeof(struct program) == 8, "no holes");
static_assert(sizeof(struct regex_set) == 24, "no holes");

static const struct regex_set *sets_of(const struct program *p)
{
	return (const struct regex_set *)(const void *)(p->step + p->steps);
}

struct compiling {
	const struct regex_tree *tree;
	struct program *program;
	uint32_t work;
	bool full;
};

static uint16_t emit(struct compiling *c, enum step_kind kind, uint32_t x, uint32_t y)
{
	if (c->program->steps == REGEX_STEPS_MAX) {
		c->full = true;
		return 0;
	}
	c->program->step[c->program->steps] =
		(struct step){.kind = (uint16_t)kind, .x = (uint16_t)x, .y = (uint16_t)y};
	return c->program->steps++;
}

static uint16_t here(const struct compiling *c)
{
	return c->program->steps;
}

static void compile_node(struct compiling *c, const struct regex_node *n);

static const struct regex_node *node_at(const struct compiling *c, uint16_t index)
{
	return &c->tree->node[index];
}

/* Forks to each in turn; behind each, a fork of one way to the end, which is known last. */
static void compile_either(struct compiling *c, const struct regex_node *n)
{
	uint16_t out = REGEX_NONE; /* a chain of jumps to the end, by x */

	for (uint16_t i = n->first; i != REGEX_NONE && !c->full; i = node_at(c, i)->next) {
		const bool last = node_at(c, i)->next == REGEX_NONE;
		const uint16_t fork = last ? 0 : emit(c, STEP_FORK, here(c) + 1u, 0);
		compile_node(c, node_at(c, i));
		if (last)
			break;
		out = emit(c, STEP_FORK, out, 0);
		c->program->step[fork].y = here(c);
	}
	while (out != REGEX_NONE && !c->full) {
		const uint16_t before = c->program->step[out].x;
		c->program->step[out].x = c->program->step[out].y = here(c);
		out = before;
	}
}

static void compile_join(struct compiling *c, const struct regex_node *n)
{
	if (n->begins)
		(void)emit(c, STEP_BEGIN, 0, 0);
	for (uint16_t i = n->first; i != REGEX_NONE && !c->full; i = node_at(c, i)->next)
		compile_node(c, node_at(c, i));
	if (n->ends)
		(void)emit(c, STEP_END, 0, 0);
}

static void compile_repeat(struct compiling *c, const struct regex_node *n)
{
	const struct regex_node *what = node_at(c, n->first);

	for (uint32_t i = 0; i < n->least && !c->full; i++)
		compile_node(c, what);
	if (n->most == REGEX_NONE) {
		const uint16_t fork = emit(c, STEP_FORK, here(c) + 1u, 0);
		compile_node(c, what);
		(void)emit(c, STEP_FORK, fork, fork);
		c->program->step[fork].y = here(c);
		return;
	}
	const uint16_t first = here(c);
	for (uint32_t i = n->least; i < n->most && !c->full; i++) {
		(void)emit(c, STEP_FORK, here(c) + 1u, REGEX_NONE); /* y: to the end, below */
		compile_node(c, what);
	}
	for (uint16_t i = first; i < here(c); i++)
		if (c->program->step[i].kind == STEP_FORK && c->program->step[i].y == REGEX_NONE)
			c->program->step[i].y = here(c);
}

static void compile_node(struct compiling *c, const struct regex_node *n)
{
	c->full |= ++c->work > WORK_MAX;
	switch ((enum regex_kind)n->kind) {
	case REGEX_EMPTY:
		return;
	case REGEX_CHAR:
		(void)emit(c, STEP_CHAR, n->character & 0xffff, n->character >> 16);
		return;
	case REGEX_SET:
		(void)emit(c, STEP_SET, n->least, 0);
		return;
	case REGEX_JOIN:
		compile_join(c, n);
		return;
	case REGEX_EITHER:
		compile_either(c, n);
		return;
	case REGEX_REPEAT:
		compile_repeat(c, n);
	}
}

static bool is_anchored(const struct regex_tree *t)
{
	for (uint16_t i = t->node[t->root].first; i != REGEX_NONE; i = t->node[i].next)
		if (!t->node[i].begins)
			return false;
	return true;
}

enum err regex_compile(const struct regex_tree *tree, void *program, size_t *size)
{
	struct program *p = program;
	struct compiling c = {.tree = tree, .program = p};

	*p = (struct program){.sets = tree->sets, .anchored = is_anchored(tree)};
	compile_node(&c, &tree->node[tree->root]);
	(void)emit(&c, STEP_FOUND, 0, 0);
	if (c.full)
		return ERR_EXPRESSION_SIZE;
	memcpy(p->step + p->steps, tree->set, tree->sets * sizeof(tree->set[0]));
	*size = sizeof(*p) + p->steps * sizeof(struct step) + p->sets * sizeof(struct regex_set);
	return ERR_NONE;
}

uint32_t regex_steps(const void *program)
{
	return ((const struct program *)program)->steps;
}

struct running {
	const struct program *p;
	struct regex_room *room;
	uint16_t *list; /* steps that wait for the next character */
	uint32_t count;
	uint32_t mark; /* of this place in the topic; never 0 */
	bool begin, end;
};

/* What follows a step without a character. */
static uint32_t follow(const struct running *r, uint16_t at, uint16_t *to)
{
	const struct step *s = &r->p->step[at];

	to[0] = (uint16_t)(at + 1);
	if (s->kind == STEP_BEGIN)
		return r->begin;
	if (s->kind == STEP_END)
		return r->end;
	to[0] = s->x;
	to[1] = s->y;
	return s->x == s->y ? 1 : 2;
}

/* Notes all steps that can be reached from here. True: the end of the program is one. */
static bool reach(struct running *r, uint16_t from)
{
	uint16_t *stack = r->room->stack, to[2];
	uint32_t depth = 0;

	stack[depth++] = from;
	while (depth > 0) {
		const uint16_t at = stack[--depth];
		if (r->room->seen[at] == r->mark)
			continue;
		r->room->seen[at] = r->mark;
		const uint16_t kind = r->p->step[at].kind;
		if (kind == STEP_FOUND)
			return true;
		if (kind == STEP_CHAR || kind == STEP_SET) {
			r->list[r->count++] = at;
			continue;
		}
		/* A step is taken from the stack once at most, and puts two there. */
		for (uint32_t n = follow(r, at, to); n > 0; n--)
			stack[depth++] = to[n - 1];
	}
	return false;
}

/* Bytes of the character at the start of a text; ill-formed ones stand for themselves. */
static size_t character_of(struct span s, uint32_t *c)
{
	const uint8_t lead = s.at[0];
	const size_t size = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : lead >= 0xc2 ? 2 : 1;

	*c = lead;
	if (size == 1 || s.size < size)
		return 1;
	*c = size == 4 ? lead & 7 : size == 3 ? lead & 15 : lead & 31;
	for (size_t i = 1; i < size; i++)
		*c = *c << 6 | (s.at[i] & 63);
	return size;
}

static bool takes(const struct program *p, uint16_t at, uint32_t c)
{
	const struct step *s = &p->step[at];

	if (s->kind == STEP_CHAR)
		return (s->x | (uint32_t)s->y << 16) == c;
	return regex_set_has(&sets_of(p)[s->x], c);
}

/* Steps over a character: what waits for it and takes it goes on behind itself. */
static void advance(struct running *r, uint32_t c)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < r->count; i++)
		if (takes(r->p, r->list[i], c))
			r->list[kept++] = (uint16_t)(r->list[i] + 1);
	r->count = kept;
}

/* All that can be reached at this place, from what came here and, unless anchored, from the start.
 * True: the end of the program is. */
static bool arrive(struct running *r)
{
	uint16_t *came = r->list;
	const uint32_t count = r->count;

	r->list = came == r->room->here ? r->room->there : r->room->here;
	r->count = 0;
	r->mark++;
	for (uint32_t i = 0; i < count; i++)
		if (reach(r, came[i]))
			return true;
	return (r->begin || !r->p->anchored) && reach(r, 0);
}

bool regex_run(const void *program, struct span topic, struct regex_room *room)
{
	struct running r = {.p = program, .room = room, .list = room->here};

	memset(room->seen, 0, r.p->steps * sizeof(room->seen[0]));
	for (size_t at = 0;;) {
		uint32_t c;
		r.begin = at == 0;
		r.end = at == topic.size;
		if (arrive(&r))
			return true;
		if (r.end || (r.count == 0 && r.p->anchored))
			return false;
		at += character_of(span_skip(topic, at), &c);
		advance(&r, c);
	}
}
