/* command.h - what a worker says, copied out of shared memory and checked.
 *
 * Input: a private copy of a slot, and the worker's arena, which is hostile
 * and may change at any time: its text is copied once, judged in the copy, and
 * the answer's spans point into the copy. Nothing that the dataplane says
 * about its own checks is believed. Lengths, flags and NULs are judged here;
 * UTF-8 is the session's business. Not here: rings (shm/ring.h), rules
 * (registry/). */
#pragma once
#include "controlplane/registry/registry.h"
#include "dataplane/shm/ring.h"

enum { COMMAND_TEXT_MAX = 3 * 65535 }; /* client id, user name and password */

struct command {
	enum shm_command type;
	union {
		struct registry_connect connect; /* spans into text */
		struct shm_connection closed;
	};
	uint8_t text[COMMAND_TEXT_MAX];
};

/* ERR_SLOT_BAD: then *out is undefined. */
MUST_USE enum err command_decode(
	const struct shm_slot *slot, const uint8_t *arena, uint32_t worker, struct command *out);
