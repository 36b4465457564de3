/* tree.h - an ordered map from bytes to bytes in memory: a treap.
 *
 * Keys are ordered by span_compare. The shape follows from
 * the order of the calls alone, so runs repeat. For storage/memory. */
#pragma once
#include "dataplane/base/attr.h"
#include "dataplane/base/rng.h"
#include "dataplane/base/span.h"

struct tree_node;

struct tree {
	struct tree_node *root;
	struct rng rng;
	uint64_t count;
	uint64_t bytes; /* of keys and values */
};

void tree_init(struct tree *t);
void tree_fini(struct tree *t);
MUST_USE bool tree_copy(struct tree *to, const struct tree *from); /* *to is initialised */
/* False: no memory; nothing has changed. */
MUST_USE bool tree_put(struct tree *t, struct span key, struct span value);
void tree_delete_range(struct tree *t, struct span from, struct span to); /* [from, to) */
void tree_delete(struct tree *t, struct span key);
/* The value, lent until the next change. */
MUST_USE bool tree_find(const struct tree *t, struct span key, struct span *value);
/* Those in [from, to), in order, until `seen` returns false. */
void tree_scan(const struct tree *t, struct span from, struct span to,
	bool (*seen)(void *owner, struct span key, struct span value), void *owner);
