/* watch.c - see watch.h. */
#include "dataplane/worker/watch.h"

#include <stdio.h>

enum { AGAIN_US = 500 * 1000 };

void watch_init(struct watch *w, const struct shm_config *c)
{
	w->resets = c->nic_resets;
	w->link = w->nic->ops->link_up(w->nic);
	counter_set(w->nic->counters, COUNTER_NIC_LINK, w->link);
}

/* A control plane that was restarted counts from 0: that asks for nothing. */
static bool is_asked(struct watch *w)
{
	struct shm_config c;

	if (shm_load(&w->page->sequence) == w->sequence ||
		!shm_config_read(w->page, &c, &w->sequence))
		return false;
	const bool asked = c.nic_resets != w->resets && c.nic_resets != 0;
	w->resets = c.nic_resets;
	return asked;
}

static void renew(struct watch *w, uint64_t now_us)
{
	char why[512];

	threads_rest(w->team, w->workers);
	const enum err e = w->nic->ops->renew(w->nic, why, sizeof(why));
	if (e == ERR_NONE)
		counter_add(w->nic->counters, COUNTER_NIC_RESETS, 1);
	threads_go_on(w->team);
	w->again_us = now_us + AGAIN_US;
	if (e == ERR_NONE)
		fprintf(stderr, "signalbox-dataplane: the NIC was opened again\n");
	else if (!w->told)
		fprintf(stderr, "signalbox-dataplane: no NIC, tried again until there is one: %s\n",
			why);
	w->told = e != ERR_NONE;
}

static void look_at_link(struct watch *w)
{
	const bool link = w->nic->ops->link_up(w->nic);

	if (link == w->link)
		return;
	w->link = link;
	counter_set(w->nic->counters, COUNTER_NIC_LINK, link);
	counter_add(w->nic->counters, COUNTER_NIC_LINK_CHANGES, 1);
	fprintf(stderr, "signalbox-dataplane: link is %s\n", link ? "up" : "down");
}

static bool is_sound(const struct watch *w)
{
	return w->nic->ops->sound == NULL || w->nic->ops->sound(w->nic);
}

void watch_turn(struct watch *w, uint64_t now_us)
{
	const bool asked = is_asked(w);

	if (w->nic->ops->renew != NULL && (asked || (now_us >= w->again_us && !is_sound(w))))
		renew(w, now_us);
	look_at_link(w);
}
