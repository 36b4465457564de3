/* idle.c - see idle.h. */
#include "dataplane/worker/idle.h"

static uint64_t least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

uint64_t idle_wait_us(struct idle *i, const struct idle_conf *conf, bool busy, bool owed,
	uint64_t now_us, uint64_t due_us)
{
	if (busy) {
		i->since_us = 0;
		return 0;
	}
	if (i->since_us == 0)
		i->since_us = now_us;
	if (now_us - i->since_us < conf->spin_us)
		return 0;
	uint64_t wait = conf->wakes ? conf->wait_max_us : conf->sleep_max_us;
	if (owed)
		wait = least(wait, conf->answer_us);
	return due_us <= now_us ? 0 : least(wait, due_us - now_us);
}
