/* tiers_check.c - a version as foreign bytes: is it what its head says? See tiers.h. */
#include "dataplane/base/hash.h"
#include "dataplane/shm/tiers.h"

/* Against accidents, not against an enemy: who writes here could sign anything. */
static const struct hash_key key = {0x7369676e616c626f, 0x782d746965727321};

uint64_t shm_tier_checksum(const uint8_t *version, size_t size)
{
	const size_t skip = sizeof(((struct shm_tier_head *)0)->checksum);

	return siphash(key, span_of(version + skip, size - skip));
}

size_t shm_tier_head_size(const struct shm_tier_head *head)
{
	const uint64_t size =
		sizeof(*head) + (uint64_t)head->texts_size + (uint64_t)head->database_size;

	return size <= SHM_TIER_BYTES ? (size_t)size : 0;
}

enum err shm_tier_check(const uint8_t *copy, size_t size, uint64_t number, struct shm_tier *out)
{
	struct shm_tier_head head;

	if (size < sizeof(head))
		return ERR_TIER_BAD;
	memcpy(&head, copy, sizeof(head));
	if (head.number != number || shm_tier_head_size(&head) != size ||
		shm_tier_checksum(copy, size) != head.checksum)
		return ERR_TIER_BAD;
	*out = (struct shm_tier){.texts = span_of(copy + sizeof(head), head.texts_size),
		.database = span_of(copy + sizeof(head) + head.texts_size, head.database_size)};
	return ERR_NONE;
}
