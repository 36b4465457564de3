/* config.c - the snapshot under a sequence number. See config.h. */
#include "dataplane/shm/config.h"

#include "dataplane/base/assert.h"

enum { CONFIG_WORDS = sizeof(struct shm_config) / sizeof(uint64_t) };

static_assert(sizeof(struct shm_config) % sizeof(uint64_t) == 0, "copied by words");
static_assert(_Alignof(struct shm_config) == sizeof(uint64_t), "copied by words");

void shm_config_write(struct shm_config_page *page, const struct shm_config *c)
{
	const uint64_t *from = (const uint64_t *)c;
	uint64_t *to = (uint64_t *)&page->config;
	/* Odd already when a writer died half-way: go on from there. */
	const uint64_t odd = page->sequence | 1;

	shm_store(&page->sequence, odd);
	__atomic_thread_fence(__ATOMIC_RELEASE);
	for (size_t i = 0; i < CONFIG_WORDS; i++)
		__atomic_store_n(&to[i], from[i], __ATOMIC_RELAXED);
	shm_store(&page->sequence, odd + 1);
}

bool shm_config_read(const struct shm_config_page *page, struct shm_config *out, uint64_t *sequence)
{
	const uint64_t *from = (const uint64_t *)&page->config;
	uint64_t *to = (uint64_t *)out;
	const uint64_t before = shm_load(&page->sequence);

	if (before == 0 || (before & 1) != 0)
		return false;
	for (size_t i = 0; i < CONFIG_WORDS; i++)
		to[i] = __atomic_load_n(&from[i], __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	if (__atomic_load_n(&page->sequence, __ATOMIC_RELAXED) != before)
		return false;
	*sequence = before;
	return true;
}
