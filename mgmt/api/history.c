/* history.c - a ring of samples. See history.h. */
#include "mgmt/api/history.h"

void history_init(struct history *h)
{
	h->newest = 0;
}

uint64_t history_add(struct history *h, const struct sample *s)
{
	const uint64_t id = h->newest + 1;
	struct sample *slot = &h->samples[id % HISTORY_SAMPLES];

	*slot = *s;
	slot->id = id;
	h->newest = id;
	return id;
}

uint64_t history_oldest_id(const struct history *h)
{
	if (h->newest == 0)
		return 0;
	return h->newest > HISTORY_SAMPLES ? h->newest - HISTORY_SAMPLES + 1 : 1;
}

const struct sample *history_at(const struct history *h, uint64_t id)
{
	if (id == 0 || id > h->newest || id < history_oldest_id(h))
		return NULL;
	return &h->samples[id % HISTORY_SAMPLES];
}

const struct sample *history_newest(const struct history *h)
{
	return history_at(h, h->newest);
}

const struct sample *history_base(const struct history *h)
{
	const uint64_t oldest = history_oldest_id(h);

	if (h->newest <= oldest)
		return NULL;
	if (h->newest - oldest < HISTORY_RATE_SAMPLES)
		return history_at(h, oldest);
	return history_at(h, h->newest - HISTORY_RATE_SAMPLES);
}

double history_rate(const struct history *h, unsigned counter)
{
	const struct sample *base = history_base(h);

	return base == NULL ? 0 : sample_rate(base, history_newest(h), counter);
}

double history_busy_percent(const struct history *h, uint32_t worker)
{
	const struct sample *base = history_base(h);

	return base == NULL ? 0 : sample_busy_percent(base, history_newest(h), worker);
}
