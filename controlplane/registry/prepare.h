/* prepare.h - the registry's side towards sessions/: between "may have it" and GRANT.
 *
 * A claim that may have its client id prepares: what that client id owns must
 * be known, and committed, before it is granted. The control plane moves, in
 * each turn and in this order:
 *
 *	registry_next_gone     -> sessions_gone       all of them
 *	registry_next_connect  -> sessions_connect    TAKEN: registry_asked; LATER: next turn
 *	registry_expects       -> sessions_expect     whether there are more that are asked again
 *	sessions_next_ready    -> registry_ready      all of them
 *	registry_next          -> event ring          all of them, before any effect of sessions
 *
 * So whoever holds a client id next finds the end of the one before, and no
 * DELIVER overtakes its GRANT. A connection that ends while it prepares is held
 * until it is ready, and is gone then. Not here: rules of the claims (registry.h). */
#pragma once
#include "controlplane/registry/registry.h"
#include "controlplane/sessions/admission.h"

/* The next one to ask for; the same until registry_asked. Spans die with the next call. */
MUST_USE bool registry_next_connect(const struct registry *r, struct sessions_connect *out);
/* That one was taken: one registry_ready follows, whatever happens. */
void registry_asked(struct registry *r);
void registry_ready(struct registry *r, const struct sessions_ready *ready);

/* Some CONNECT that one before us may have taken is not asked for yet. */
bool registry_expects(const struct registry *r);

/* A kept session whose connection is gone or fenced; taken. */
MUST_USE bool registry_next_gone(struct registry *r, uint64_t *session, uint64_t *epoch);

/* POSITION: the live connection's session is kept. Its epoch; 0: it holds nothing, ignore it. */
MUST_USE uint64_t registry_position(
	struct registry *r, uint32_t worker, struct shm_connection connection, uint64_t session);
/* ...and sessions knows no such session: it is to close. */
void registry_turn_out(
	struct registry *r, uint32_t worker, struct shm_connection connection, enum err why);
