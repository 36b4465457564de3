/* chain.h - queues of claims, by index; their links lie in an array beside the claims. */
#pragma once
#include "dataplane/base/attr.h"

#include <stdbool.h>
#include <stdint.h>

struct chain_link {
	uint32_t prev, next;
};

struct chain {
	struct chain_link *links;
	uint32_t first, last;
};

/* For so many claims, none of them in it. False: no memory. */
MUST_USE bool chain_create(struct chain *c, uint32_t count);
void chain_append(struct chain *c, uint32_t index);
void chain_remove(struct chain *c, uint32_t index);
bool chain_has(const struct chain *c, uint32_t index);
