/* link_fake.h - a worker's end of the rings, for tests of the control plane: says what it is told
 * to say, hears everything, puts texts together. Judges nothing. */
#pragma once
#include "dataplane/shm/ring.h"

struct link_fake {
	struct shm_tx commands;
	struct shm_rx events;
	struct shm_arena arena;
	const uint8_t *their_arena;
	uint64_t sequence; /* of the last work */
	uint8_t *text;     /* of the event that comes, as far as it has come */
	size_t text_size, text_room;
	uint32_t parts;  /* of that */
	uint32_t sender; /* whose: another one's begin anew */
	bool whole;      /* it was handed out: the next one begins */
	size_t sent;     /* of the STORE under way, in parts */
};

/* An event and its whole text, which is valid until the next call. */
struct link_event {
	struct shm_slot slot; /* type 0: none */
	struct span text;
	uint32_t parts;
};

/* The generation is one that shm_region_start has given. */
void link_fake_start(struct link_fake *f, void *dp, const void *cp, uint32_t worker);
void link_fake_stop(struct link_fake *f); /* frees; says nothing */

/* All of these: false when there is no room. */
bool link_fake_say(struct link_fake *f, enum shm_command type, const void *body, size_t size);
bool link_fake_hello(struct link_fake *f, bool loaded);
/* Sizes in *c are set from the texts. */
bool link_fake_connect(struct link_fake *f, struct shm_connect *c, struct span client_id,
	struct span username, struct span password, struct span will);
/* Numbers the work. A text too long for one slot goes in parts; after false, ask again with the
 * same text: it goes on. */
bool link_fake_work(
	struct link_fake *f, enum shm_command type, struct shm_work *work, struct span text);

/* The next event that is no PART. Parts are kept until theirs comes. */
struct link_event link_fake_next(struct link_fake *f);
