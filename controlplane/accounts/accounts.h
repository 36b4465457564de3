/* accounts.h - who may connect.
 *
 * One question, asked by the registry for each new connection. Without
 * configured users everybody is let in; there is no way to configure users
 * yet: access control (users, passwords, rights on topics) comes with its own
 * issue and answers here. Not here: what a session may publish or subscribe. */
#pragma once
#include "dataplane/base/span.h"
#include "dataplane/shm/slots.h"

struct accounts_request {
	struct span client_id, username, password;
	bool has_username, has_password;
	uint32_t address; /* peer, network order */
};

enum shm_verdict accounts_check(const struct accounts_request *request);
