/* attach.h - how a process gets hold of the shared regions that the launcher made.
 *
 * The launcher starts each process with descriptors and one option that names
 * them:
 *
 *	--shm dp=3:rw,cp=4:ro,dpc=5:rw,launcher=6:ro,doorbell=7
 *
 * A region is NAME=FD:rw or NAME=FD:ro; the right must be the descriptor's own
 * (the kernel refuses more). NAME: dp, cp, dpc (DP_COUNTERS), cpc
 * (CP_COUNTERS), launcher, tiers, live. `doorbell` is an eventfd, kept open and closed on
 * exec; the others are closed once mapped. Unknown names, a name twice and
 * regions of another version or size are refused. For main() only. */
#pragma once
#include "dataplane/shm/region.h"

struct shm_map {
	void *base[SHM_REGIONS];       /* regions that we write; else NULL */
	const void *view[SHM_REGIONS]; /* every region that we have, written or read; else NULL */
	size_t bytes[SHM_REGIONS];     /* mapped */
	uint32_t workers;              /* the same in every region that we have */
	int doorbell;                  /* -1: none */
	char why[128];                 /* on failure: which part of the option, and why */
};

/* ERR_SHM_ATTACH or ERR_ABI_MISMATCH, with out->why; then nothing stays mapped. */
MUST_USE enum err shm_attach(const char *spec, struct shm_map *out);
void shm_detach(struct shm_map *map);

/* "dp", "cp", "dpc", "cpc", "launcher", "tiers", "live". */
const char *shm_region_name(enum shm_region kind);

/* Generations count on from there. Every memory begins elsewhere (the wall clock says where), or a
 * store took a new generation for one that it knows, after a restart of the launcher or machine. */
void shm_region_count_from(void *base, uint64_t generation);
