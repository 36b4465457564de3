/* tiers.c - see tiers.h. */
#include "dataplane/shm/tiers.h"

#include "dataplane/base/assert.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { PAGE_AT = SHM_PAGE, SEATS_AT = 2 * SHM_PAGE };

static_assert(sizeof(struct shm_tier_head) == 32, "no holes");
static_assert(sizeof(struct shm_tiers_page) <= SHM_PAGE, "the numbers are one page");
static_assert(SHM_TIER_BYTES % SHM_PAGE == 0, "versions are page-aligned");

const struct shm_tiers_page *shm_tiers_page(const void *base)
{
	return (const struct shm_tiers_page *)((const uint8_t *)base + PAGE_AT);
}

static const uint8_t *version_at(const void *base, uint32_t seat, uint64_t number)
{
	ASSERT(seat < SHM_TIER_SEATS);
	return (const uint8_t *)base + SEATS_AT + (2 * (size_t)seat + number % 2) * SHM_TIER_BYTES;
}

static void publish(struct shm_tiers_page *page, uint32_t seat, uint64_t number)
{
	shm_store(&page->number[seat], number);
	shm_store32(&page->changes, page->changes + 1);
	syscall(SYS_futex, &page->changes, FUTEX_WAKE, INT32_MAX, NULL, NULL, 0);
}

bool shm_tier_write(void *base, uint32_t seat, struct span texts, struct span database)
{
	struct shm_tiers_page *page = (struct shm_tiers_page *)((uint8_t *)base + PAGE_AT);
	const uint64_t number = page->number[seat] + 1;
	uint8_t *to = (uint8_t *)(uintptr_t)version_at(base, seat, number);
	struct shm_tier_head *head = (struct shm_tier_head *)(void *)to;
	const size_t size = sizeof(*head) + texts.size + database.size;

	if (texts.size > SHM_TIER_BYTES || database.size > SHM_TIER_BYTES || size > SHM_TIER_BYTES)
		return false;
	*head = (struct shm_tier_head){.number = number,
		.texts_size = (uint32_t)texts.size,
		.database_size = (uint32_t)database.size};
	to += sizeof(*head);
	if (texts.size > 0)
		memcpy(to, texts.at, texts.size);
	if (database.size > 0)
		memcpy(to + texts.size, database.at, database.size);
	head->checksum = shm_tier_checksum((const uint8_t *)head, size);
	publish(page, seat, number);
	return true;
}

size_t shm_tier_size(const void *base, uint32_t seat, uint64_t number)
{
	struct shm_tier_head head;

	memcpy(&head, version_at(base, seat, number), sizeof(head));
	return head.number == number ? shm_tier_head_size(&head) : 0;
}

enum err shm_tier_read(const void *base, uint32_t seat, uint64_t number, uint8_t *copy, size_t size,
	struct shm_tier *out)
{
	if (size > SHM_TIER_BYTES)
		return ERR_TIER_BAD;
	memcpy(copy, version_at(base, seat, number), size);
	return shm_tier_check(copy, size, number, out);
}
