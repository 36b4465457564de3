/* command.h - what a worker says, copied out of shared memory and checked.
 *
 * Input: a private copy of a slot, and the worker's arena, which is hostile
 * and may change at any time: its text is copied once, judged in the copy, and
 * the answer's spans point into the copy. Nothing that the dataplane says
 * about its own checks is believed. Judged here: sizes, flags, ranges, UTF-8;
 * what a command does not use is 0 in the answer, whatever the slot said. Not
 * here: rings (shm/ring.h), texts of several slots (parts.h), rules (registry/,
 * sessions/), what lies in the text of a STORE (sessions/). */
#pragma once
#include "controlplane/registry/registry.h"
#include "dataplane/shm/ring.h"

/* A CONNECT has no parts: client id, user, password and will lie in the arena at once. */
enum { COMMAND_TEXT_MAX = SHM_ARENA_BYTES };

struct command {
	enum shm_command type;
	union {
		struct registry_connect connect; /* spans into bytes */
		struct shm_closed closed;
		struct shm_hello hello;
		struct shm_position position;
		struct shm_declined declined;
		struct shm_applied applied;
		struct shm_work work;
		struct shm_pattern pattern;
		struct shm_trial trial;
	};
	struct span text; /* of PART, STORE, SUBSCRIBE, UNSUBSCRIBE, PATTERN, TRY; else empty */
	uint8_t bytes[COMMAND_TEXT_MAX];
};

/* ERR_SLOT_BAD: then *out is undefined. */
MUST_USE enum err command_decode(
	const struct shm_slot *slot, const uint8_t *arena, uint32_t worker, struct command *out);
/* {u32 delay_s} and a parcel that can be published. */
bool command_is_will(struct span will);
