/* set.h - many patterns to one Hyperscan database. Runs in the compiler's own process (compiler.c),
 * which may die of it.
 *
 * Hyperscan never sees what a client wrote: each filter is read by our own
 * reader and said again in the words of form_say. */
#pragma once
#include "dataplane/base/attr.h"
#include "dataplane/base/err.h"
#include "dataplane/base/span.h"

enum { SET_NOBODY = UINT32_MAX };

/* `database`: malloc'ed bytes for hs_deserialize_database. ERR_EXPRESSION_REFUSED: *culprit is the
 * one that cannot be, or SET_NOBODY: all together cannot. ERR_TIER_MEMORY. */
MUST_USE enum err set_compile(
	const struct span *filters, uint32_t count, struct span *database, uint32_t *culprit);
