/* tiers_fuzz.c - a version as hostile bytes: {u8 number, the version}. Whatever passes fits. */
#include "dataplane/shm/tiers.h"

#include "dataplane/base/assert.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct shm_tier tier;

	if (size == 0)
		return 0;
	/* A heap copy of exact size: an overrun is seen. */
	uint8_t *copy = malloc(size);
	if (copy == NULL)
		return 0;
	memcpy(copy, data + 1, size - 1);
	if (shm_tier_check(copy, size - 1, data[0], &tier) == ERR_NONE) {
		ASSERT(tier.texts.at + tier.texts.size == tier.database.at);
		ASSERT(tier.database.at + tier.database.size == copy + size - 1);
	}
	free(copy);
	return 0;
}
