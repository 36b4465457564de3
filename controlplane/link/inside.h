/* inside.h - the control plane's own memory, for the files of link/ alone.
 *
 * intake.c takes commands off the rings, outlet.c puts effects into them,
 * controlplane.c makes turns of both. */
#pragma once
#include "controlplane/link/carrier.h"
#include "controlplane/link/command.h"
#include "controlplane/link/controlplane.h"
#include "controlplane/link/inspect.h"
#include "controlplane/link/parts.h"

struct peer {
	struct shm_rx commands;
	struct shm_tx events;
	struct shm_arena text;  /* ours: of events */
	const uint8_t *arena;   /* theirs: of commands */
	struct parts parts;     /* of the STORE that comes */
	struct carrier carrier; /* the effect under way */
	bool greeted;           /* in this generation; before, effects are for its predecessor */
	bool full;              /* events or their text found no room at the last try */
	bool blocked; /* its next command cannot be taken until something else has happened */
	struct inspect_slot inspect;
	struct shm_question *question;   /* ours */
	const struct shm_answer *answer; /* theirs */
};

struct controlplane {
	struct registry *registry;
	struct sessions *sessions;
	struct storage *store;   /* lent */
	struct compile *compile; /* lent; NULL: nothing is compiled */
	struct trials *trials;   /* the same; NULL: nobody asks */
	struct counters *counters;
	struct shm_header *header, *counters_header; /* ours */
	const struct shm_header *dp;                 /* hostile */
	struct shm_config_page *page;
	struct shm_config config;
	uint64_t generation, dp_generation; /* ours; the dataplane's that we talk to */
	uint64_t beat_us, started_us;
	uint32_t workers;
	bool waits;    /* a CONNECT, for the sessions to take it */
	enum err dead; /* of the store: nothing is done any more */
	struct peer peers[SHM_WORKERS_MAX];
	struct command *command; /* the one at work */
};

/* Bytes of a STORE: the largest packet as a parcel, and a target for each stored session. */
size_t intake_store_max(const struct controlplane *cp);
/* A new generation of the dataplane: whatever was connected is not any more. True: there is one. */
bool intake_notice(struct controlplane *cp, struct sessions_now now);
/* A bounded number of commands of that worker. True: it took some. */
bool intake_take(struct controlplane *cp, uint32_t worker, struct sessions_now now);

/* As many events as there is room for, within bounds. True: it sent some. */
bool outlet_push(struct controlplane *cp, uint32_t worker, struct sessions_now now);
