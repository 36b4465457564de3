/* attempts.h - large expressions, tried by the control plane before they are subscribed to.
 *
 * A SUBSCRIBE that waits here is nowhere else: no table knows it yet. It goes on, or
 * is refused, with the answer. A new control plane is asked again; where there is no
 * link, or no room to wait, nothing is tried and the interpreter will do. */
#pragma once
#include "dataplane/fabric/verbs.h"
#include "dataplane/shm/slots.h"

struct worker;
struct connection;
struct attempts;

enum {
	ATTEMPTS_AT_ONCE = 1024,
	ATTEMPTS_STEPS = 128, /* of a program; smaller ones Hyperscan has never refused */
};

struct attempts_ask {
	struct connection *connection;
	uint32_t token;
	struct span filter;
	const struct subscription_options *options;
};

MUST_USE bool attempts_create(struct worker *w); /* false: no memory */
void attempts_fini(struct worker *w);            /* before messages */
/* False: it need not, or cannot, be tried: go on. */
MUST_USE bool attempts_begin(struct worker *w, const struct attempts_ask *ask, uint32_t steps);
bool attempts_poll(struct worker *w); /* asks what found no room; true: it moved something */
void attempts_on_tried(struct worker *w, const struct shm_trial *answer);
void attempts_renew(struct worker *w); /* a new control plane: ask again */
