/* works_rig.h - works on real rings, with a control plane that a test plays; for works_test.c.
 *
 * Sessions and routes are fakes that note what they were told. */
#pragma once
#include "dataplane/worker/works_internal.h"

enum { RIG_HEARD_MAX = 4096, RIG_TEXT_MAX = 8 << 20, RIG_CONNECTIONS = 8, RIG_OUTBOUND = 64 };

enum rig_kind {
	RIG_STORED = 1,  /* a: packet id, b: err */
	RIG_SUBSCRIBED,  /* a: token, b: err */
	RIG_SNAPSHOT,    /* a: was new */
	RIG_RELEASED,    /* a: packet id, b: err */
	RIG_RECEIVED,    /* a: entry */
	RIG_RECEIVED_ID, /* a: packet id */
	RIG_DELIVERED,   /* a: entry, b: payload bytes */
	RIG_RESUMED,     /* a: entry */
	RIG_PUBLISHED,   /* a: session whose will it was */
	RIG_RETAINED,    /* a: payload bytes */
};

struct rig_note {
	enum rig_kind kind;
	uint64_t a, b;
};

struct rig {
	struct worker w;
	void *dp, *cp; /* regions */
	struct shm_rx commands;
	struct shm_tx events;
	struct shm_arena arena;
	struct counters counters;
	struct rig_note notes[RIG_HEARD_MAX];
	uint32_t note_count;
	bool refuse;          /* sessions and routes have no room */
	struct message *kept; /* the last that was delivered or published, if `keep` */
	bool keep;
	struct delivery delivery; /* the last */
	/* What the control plane has heard. */
	struct shm_slot slot;
	uint8_t text[RIG_TEXT_MAX]; /* of the slot, parts joined */
	size_t text_size;
};

struct rig *rig_create(void);
void rig_destroy(struct rig **rig);
extern struct rig *rig_now; /* for the fakes */

/* Takes the next command into slot and text; parts are joined. False: there is none. */
bool rig_hear(struct rig *rig);
/* Hears one slot, parts as they come: its type, 0: none. */
uint8_t rig_hear_slot(struct rig *rig);
/* Says an event and lets the worker take it. */
void rig_say(struct rig *rig, enum shm_event type, const void *body, size_t size);
/* Puts text for the event that is said next. */
struct shm_text rig_text(struct rig *rig, struct span text);
void rig_done(struct rig *rig, uint64_t sequence);
void rig_refused(struct rig *rig, uint64_t sequence, uint32_t err);
/* A connection whose session the control plane keeps. */
struct connection *rig_connect(struct rig *rig, uint32_t index, uint64_t session);
struct message *rig_message(struct rig *rig, const char *topic, size_t payload);
/* The note `i` from the end, 0 the last. */
struct rig_note rig_last(const struct rig *rig, uint32_t i);
