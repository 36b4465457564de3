/* privileges.h - the control plane gives up root, once what needs it is open. */
#pragma once
#include "dataplane/base/attr.h"

#include <stdbool.h>
#include <sys/types.h>

struct privileges {
	uid_t uid; /* (uid_t)-1: we are not root and stay who we are */
	gid_t gid;
};

/* A name or a number; never root. False: no such user, told by errno. */
MUST_USE bool privileges_find(const char *user, struct privileges *out);
/* The data directory, made if need be, and given to that user. False: errno. */
MUST_USE bool privileges_data(const char *path, const struct privileges *p);
/* For ever; no core dumps, no tracing, no new rights, and death with the parent that is ours now.
 * False: errno, and nothing may be served. */
MUST_USE bool privileges_drop(const struct privileges *p, pid_t parent);
