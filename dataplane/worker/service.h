/* service.h - the thread beside the workers that does what may stall: now, making tiers of compiled
 * patterns (letters.h).
 *
 * It waits for the control plane to say a new version (shm/tiers.h), copies
 * it, has it judged, deserialises it, and makes one tier with scratch for each
 * worker; it frees what workers give back. It does not poll: it sleeps on a
 * futex, and looks up a few times a second for what has come back. Its
 * niceness is the largest there is. */
#pragma once
#include "dataplane/shm/tiers.h"
#include "dataplane/worker/letters.h"

struct service_conf {
	const void *tiers; /* the region */
	uint32_t workers;
	struct letters *boxes; /* one for each */
};

struct service;

MUST_USE struct service *service_create(const struct service_conf *conf); /* NULL: no memory */
/* One look at everything: what the thread does again and again. True: something moved. */
bool service_poll(struct service *s);
/* On a thread of its own, until service_stop. False: there is none. */
MUST_USE bool service_start(struct service *s);
void service_stop(struct service *s);
void service_destroy(struct service **s); /* stopped; what workers have stays theirs */
