/* rig.h - a store in a directory of its own, its ledger, and writers that are cut. */
#pragma once
#include "tests/durability/workload.h"

enum { RIG_PATH = 128 };

struct rig {
	char base[RIG_PATH]; /* everything is below it */
	char store[RIG_PATH + 16], image[RIG_PATH + 16], ledger[RIG_PATH + 16];
	bool no_sync;
};

/* How a writer runs: under the library with these, 0 where there is none. */
struct rig_run {
	uint64_t seed, batches, cut_at, cut_name, fail_write_at, fail_sync_at;
	int fail_errno;
	bool holes;
};

void rig_init(struct rig *r);
void rig_fini(struct rig *r);
void rig_clear(struct rig *r); /* an empty store and ledger */
/* The writer's exit code, or minus the signal that ended it. */
int rig_write(struct rig *r, const struct rig_run *run);
void rig_take_image(struct rig *r); /* the image becomes the store */
/* The number of batches that must be there. */
uint64_t rig_completed(const struct rig *r);
/* Opens and checks a copy, in a process of its own: a crash is a refusal, too. ERR_NONE or why it
 * was refused in *err. */
enum workload_verdict rig_check(struct rig *r, uint64_t *batches, enum err *err, char why[256]);
