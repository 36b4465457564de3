/* privileges.h - gives up what a program that reads hostile bytes must not have.
 *
 * Called once, when everything that needs rights is open: sockets, regions. */
#pragma once
#include "dataplane/base/attr.h"

#include <stdbool.h>

/* Becomes `user` if we are root, and in any case one that can gain no rights, start no program
 * with more, dump no core and open few files. False: errno says why, and nothing may be served. */
MUST_USE bool privileges_drop(const char *user);
