/* restart.c - see restart.h. */
#include "controlplane/launcher/restart.h"

enum {
	FIRST_US = 100 * 1000,
	LONGEST_US = 5 * 1000 * 1000,
	HEALTHY_US = 10 * 1000 * 1000,
	HOPELESS_MAX = 3
};

void restart_on_start(struct restart *r, uint64_t now_us)
{
	r->started_us = now_us;
}

uint64_t restart_on_end(struct restart *r, uint64_t now_us)
{
	uint64_t delay_us = FIRST_US;

	if (now_us - r->started_us >= HEALTHY_US)
		r->failures = 0;
	if (r->failures++ == 0)
		return now_us;
	for (uint32_t i = 2; i < r->failures && delay_us < LONGEST_US; i++)
		delay_us *= 2;
	return now_us + (delay_us < LONGEST_US ? delay_us : LONGEST_US);
}

uint64_t restart_on_hopeless_end(struct restart *r, uint64_t now_us)
{
	const uint64_t at_us = restart_on_end(r, now_us);

	return ++r->hopeless < HOPELESS_MAX ? at_us : UINT64_MAX;
}
