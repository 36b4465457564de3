/* ring_fuzz.h - what the files of the ring's fuzzer share. */
#pragma once
#include "controlplane/link/controlplane.h"
#include "dataplane/base/assert.h"
#include "dataplane/base/reader.h"
#include "storage/memory/memory.h"
#include "tests/link/link_fake.h"

enum { FUZZ_KNOWN = 8 };

struct fuzz_world {
	struct memory_disk *disk;
	struct storage *store;
	struct controlplane *control;
	struct link_fake fake;
	uint64_t now_us;
	size_t arena_used; /* of the dataplane's, at most: to be wiped */
	bool mad;          /* somebody else writes, too */
	uint64_t control_generation;
	/* What was heard last, to be said again: sessions, their epochs, entries. */
	struct shm_grant grants[FUZZ_KNOWN];
	uint64_t entries[FUZZ_KNOWN];
	uint32_t grant_count, entry_count;
	uint32_t restarts_left;
	uint32_t uses; /* scripts that this control plane has seen */
};

/* Says one command that a good worker could say: u8 which, and what it needs. */
void fuzz_say(struct fuzz_world *w, struct reader *r);
/* Takes events and checks them. */
void fuzz_hear(struct fuzz_world *w, uint32_t most);

/* Keeps scripts from here on, if libFuzzer's arguments say where. */
void fuzz_life_open(int argc, char **argv);
void fuzz_life_begin(void);
void fuzz_life_add(struct span script);
/* The next one of those kept; false: that was the last one. */
bool fuzz_life_next(struct reader *kept, struct span *script);

static inline bool err_is_of_disk(enum err e)
{
	return e == ERR_STORAGE_IO || e == ERR_STORAGE_FULL || e == ERR_STORAGE_CORRUPT;
}
