/* tree.c - the treap: split and merge, and everything by them. */
#include "storage/memory/tree.h"

#include <stdlib.h>

struct tree_node {
	struct tree_node *left, *right;
	uint64_t weight; /* of a parent: not below its children's */
	size_t key_size, value_size;
	uint8_t bytes[]; /* the key, then the value */
};

static struct span key_of(const struct tree_node *n)
{
	return span_of(n->bytes, n->key_size);
}

static struct span value_of(const struct tree_node *n)
{
	return span_of(n->bytes + n->key_size, n->value_size);
}

void tree_init(struct tree *t)
{
	*t = (struct tree){.rng = rng_from(1)};
}

static void drop(struct tree *t, struct tree_node *n)
{
	if (n == NULL)
		return;
	drop(t, n->left);
	drop(t, n->right);
	t->count--;
	t->bytes -= n->key_size + n->value_size;
	free(n);
}

void tree_fini(struct tree *t)
{
	drop(t, t->root);
	t->root = NULL;
}

static struct tree_node *node_create(struct tree *t, struct span key, struct span value)
{
	struct tree_node *n =
		(struct tree_node *)malloc(sizeof(struct tree_node) + key.size + value.size);

	if (n == NULL)
		return NULL;
	*n = (struct tree_node){
		.weight = rng_next(&t->rng), .key_size = key.size, .value_size = value.size};
	if (key.size > 0)
		memcpy(n->bytes, key.at, key.size);
	if (value.size > 0)
		memcpy(n->bytes + key.size, value.at, value.size);
	return n;
}

/* Keys below `key` to *low, the others to *high. */
static void split(
	struct tree_node *n, struct span key, struct tree_node **low, struct tree_node **high)
{
	if (n == NULL) {
		*low = NULL;
		*high = NULL;
	} else if (span_compare(key_of(n), key) < 0) {
		*low = n;
		split(n->right, key, &n->right, high);
	} else {
		*high = n;
		split(n->left, key, low, &n->left);
	}
}

/* All keys of `low` are below those of `high`. */
static struct tree_node *merge(struct tree_node *low, struct tree_node *high)
{
	if (low == NULL)
		return high;
	if (high == NULL)
		return low;
	if (low->weight > high->weight) {
		low->right = merge(low->right, high);
		return low;
	}
	high->left = merge(low, high->left);
	return high;
}

bool tree_put(struct tree *t, struct span key, struct span value)
{
	struct tree_node *n = node_create(t, key, value), *low, *high;

	if (n == NULL)
		return false;
	tree_delete(t, key);
	split(t->root, key, &low, &high);
	t->root = merge(merge(low, n), high);
	t->count++;
	t->bytes += key.size + value.size;
	return true;
}

void tree_delete_range(struct tree *t, struct span from, struct span to)
{
	struct tree_node *low, *middle, *high;

	if (span_compare(from, to) >= 0)
		return;
	split(t->root, from, &low, &middle);
	split(middle, to, &middle, &high);
	drop(t, middle);
	t->root = merge(low, high);
}

void tree_delete(struct tree *t, struct span key)
{
	struct tree_node **at = &t->root;

	while (*at != NULL) {
		struct tree_node *n = *at;
		const int order = span_compare(key, key_of(n));

		if (order == 0) {
			*at = merge(n->left, n->right);
			n->left = NULL;
			n->right = NULL;
			drop(t, n);
			return;
		}
		at = order < 0 ? &n->left : &n->right;
	}
}

bool tree_find(const struct tree *t, struct span key, struct span *value)
{
	const struct tree_node *n = t->root;

	while (n != NULL) {
		const int order = span_compare(key, key_of(n));

		if (order == 0) {
			*value = value_of(n);
			return true;
		}
		n = order < 0 ? n->left : n->right;
	}
	return false;
}

struct walk {
	struct span from, to;
	bool (*seen)(void *owner, struct span key, struct span value);
	void *owner;
};

static bool walk(const struct tree_node *n, const struct walk *w)
{
	if (n == NULL)
		return true;
	const bool above = span_compare(key_of(n), w->from) >= 0;
	const bool below = span_compare(key_of(n), w->to) < 0;
	if (above && !walk(n->left, w))
		return false;
	if (above && below && !w->seen(w->owner, key_of(n), value_of(n)))
		return false;
	return !below || walk(n->right, w);
}

void tree_scan(const struct tree *t, struct span from, struct span to,
	bool (*seen)(void *owner, struct span key, struct span value), void *owner)
{
	const struct walk w = {from, to, seen, owner};

	(void)walk(t->root, &w);
}

static bool copy_node(struct tree *to, const struct tree_node *n)
{
	return n == NULL || (copy_node(to, n->left) && tree_put(to, key_of(n), value_of(n)) &&
				    copy_node(to, n->right));
}

bool tree_copy(struct tree *to, const struct tree *from)
{
	return copy_node(to, from->root);
}
