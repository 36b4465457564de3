/* members.c - see members.h. */
#include "controlplane/compile/members.h"

#include "dataplane/base/assert.h"

#include <stdlib.h>

bool members_create(struct members *m, uint32_t numbers, size_t bytes_max, struct hash_key key)
{
	uint32_t buckets = 64;

	while (buckets < numbers && buckets < 1u << 30)
		buckets *= 2;
	*m = (struct members){.bucket = calloc(buckets, sizeof(*m->bucket)),
		.by_number = calloc(numbers + 1, sizeof(*m->by_number)),
		.mask = buckets - 1,
		.numbers = numbers,
		.bytes_max = bytes_max,
		.key = key};
	return m->bucket != NULL && m->by_number != NULL;
}

void members_fini(struct members *m)
{
	for (uint32_t b = 0; m->bucket != NULL && b <= m->mask; b++) {
		while (m->bucket[b] != NULL) {
			struct member *e = m->bucket[b];
			m->bucket[b] = e->next;
			free(e);
		}
	}
	free(m->bucket);
	free(m->by_number);
}

struct member *members_find(const struct members *m, struct span text)
{
	const uint64_t hash = siphash(m->key, text);
	struct member *e = m->bucket[hash & m->mask];

	while (e != NULL && !(e->hash == hash && span_equal(member_text(e), text)))
		e = e->next;
	return e;
}

struct member *members_create_one(struct members *m, struct span text)
{
	struct member *e = members_find(m, text);

	if (e != NULL)
		return e;
	if (text.size > UINT16_MAX || text.size > m->bytes_max - m->bytes)
		return NULL;
	e = malloc(sizeof(*e) + text.size);
	if (e == NULL)
		return NULL;
	*e = (struct member){
		.hash = siphash(m->key, text), .size = (uint16_t)text.size, .seat = MEMBER_NOWHERE};
	if (text.size > 0)
		memcpy(e->text, text.at, text.size);
	e->next = m->bucket[e->hash & m->mask];
	m->bucket[e->hash & m->mask] = e;
	m->all[MEMBER_NOWHERE]++;
	m->bytes += text.size;
	return e;
}

static void may_forget(struct members *m, struct member *e)
{
	struct member **at = &m->bucket[e->hash & m->mask];

	if (member_lives(e) || e->seat != MEMBER_NOWHERE || e->held)
		return;
	while (*at != e)
		at = &(*at)->next;
	*at = e->next;
	m->all[MEMBER_NOWHERE]--;
	m->bytes -= e->size;
	free(e);
}

/* What it counts for, taken away before a change and added after it. */
static void count(struct members *m, const struct member *e, uint32_t by)
{
	m->all[e->seat] += by;
	m->alive[e->seat] += member_lives(e) ? by : 0;
	m->refused += member_lives(e) && e->refused && e->seat == MEMBER_NOWHERE ? by : 0;
}

static void use(struct members *m, struct member *e, uint32_t by)
{
	count(m, e, UINT32_MAX);
	e->users += by;
	count(m, e, 1);
}

void members_number(struct members *m, uint32_t number, struct member *e)
{
	struct member *before = m->by_number[number];

	ASSERT(number < m->numbers);
	m->by_number[number] = e;
	if (e != NULL)
		use(m, e, 1);
	if (before == NULL)
		return;
	use(m, before, UINT32_MAX);
	may_forget(m, before);
}

void members_place(struct members *m, struct member *e, uint32_t seat)
{
	count(m, e, UINT32_MAX);
	e->seat = (uint8_t)seat;
	count(m, e, 1);
	may_forget(m, e);
}

void members_refuse(struct members *m, struct member *e)
{
	count(m, e, UINT32_MAX);
	e->refused = true;
	count(m, e, 1);
}

void members_hold(struct members *m, struct member *e, bool held)
{
	e->held = held;
	may_forget(m, e);
}

void members_each(const struct members *m, members_visit *visit, void *owner)
{
	for (uint32_t b = 0; b <= m->mask; b++)
		for (struct member *e = m->bucket[b]; e != NULL; e = e->next)
			visit(owner, e);
}

void members_check(const struct members *m)
{
	uint32_t alive[MEMBER_NOWHERE + 1] = {0}, all[MEMBER_NOWHERE + 1] = {0};
	uint32_t users = 0;
	size_t bytes = 0;

	for (uint32_t b = 0; b <= m->mask; b++) {
		for (const struct member *e = m->bucket[b]; e != NULL; e = e->next) {
			all[e->seat]++;
			alive[e->seat] += member_lives(e);
			bytes += e->size;
			users += e->users;
			ASSERT(member_lives(e) || e->held || e->seat != MEMBER_NOWHERE);
		}
	}
	ASSERT(memcmp(alive, m->alive, sizeof(alive)) == 0);
	ASSERT(memcmp(all, m->all, sizeof(all)) == 0);
	ASSERT(bytes == m->bytes);
	for (uint32_t n = 0; n < m->numbers; n++)
		users -= m->by_number[n] != NULL;
	ASSERT(users == 0);
}
