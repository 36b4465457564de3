/* set.c - see set.h. */
#include "controlplane/compile/set.h"

#include "dataplane/match/form.h"

#include <hs/hs_compile.h>
#include <hs/hs_runtime.h>
#include <stdlib.h>

/* A topic is asked about once for each pattern, and some match everything. */
enum { FLAGS = HS_FLAG_DOTALL | HS_FLAG_SINGLEMATCH | HS_FLAG_ALLOWEMPTY };

struct set {
	uint32_t count;
	char **said;
	unsigned *flags, *ids;
	struct regex_tree *tree;
	char *room; /* FORM_SAID_MAX */
};

static bool create_set(struct set *s, uint32_t count)
{
	*s = (struct set){.count = count,
		.said = calloc(count, sizeof(*s->said)),
		.flags = calloc(count, sizeof(*s->flags)),
		.ids = calloc(count, sizeof(*s->ids)),
		.tree = malloc(sizeof(*s->tree)),
		.room = malloc(FORM_SAID_MAX + 1)};
	return s->said != NULL && s->flags != NULL && s->ids != NULL && s->tree != NULL &&
	       s->room != NULL;
}

static void set_fini(struct set *s)
{
	for (uint32_t i = 0; s->said != NULL && i < s->count; i++)
		free(s->said[i]);
	free(s->said);
	free(s->flags);
	free(s->ids);
	free(s->tree);
	free(s->room);
}

static enum err create_said(struct set *s, uint32_t i, struct span filter)
{
	struct writer w = writer_of(s->room, FORM_SAID_MAX);

	if (form_say(filter, s->tree, &w) != ERR_NONE)
		return ERR_EXPRESSION_REFUSED;
	s->room[writer_used(&w)] = '\0';
	s->said[i] = strdup(s->room);
	s->flags[i] = FLAGS;
	s->ids[i] = i;
	return s->said[i] != NULL ? ERR_NONE : ERR_TIER_MEMORY;
}

static enum err serialise(hs_database_t *db, struct span *out)
{
	char *bytes;
	size_t size;

	const hs_error_t e = hs_serialize_database(db, &bytes, &size);
	hs_free_database(db);
	if (e != HS_SUCCESS)
		return ERR_TIER_MEMORY;
	*out = span_of(bytes, size);
	return ERR_NONE;
}

static enum err compile(struct set *s, struct span *database, uint32_t *culprit)
{
	hs_compile_error_t *why = NULL;
	hs_database_t *db = NULL;

	const hs_error_t e = hs_compile_multi((const char *const *)s->said, s->flags, s->ids,
		s->count, HS_MODE_BLOCK, NULL, &db, &why);
	if (e == HS_SUCCESS)
		return serialise(db, database);
	if (why != NULL && why->expression >= 0 && (uint32_t)why->expression < s->count)
		*culprit = (uint32_t)why->expression;
	hs_free_compile_error(why);
	return e == HS_NOMEM ? ERR_TIER_MEMORY : ERR_EXPRESSION_REFUSED;
}

enum err set_compile(
	const struct span *filters, uint32_t count, struct span *database, uint32_t *culprit)
{
	struct set s;
	enum err e = create_set(&s, count) ? ERR_NONE : ERR_TIER_MEMORY;

	*culprit = SET_NOBODY;
	for (uint32_t i = 0; e == ERR_NONE && i < count; i++) {
		e = create_said(&s, i, filters[i]);
		if (e != ERR_NONE)
			*culprit = i;
	}
	if (e == ERR_NONE)
		e = compile(&s, database, culprit);
	set_fini(&s);
	return e;
}
