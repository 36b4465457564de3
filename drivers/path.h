/* path.h - one direction of a wire: frames go in, and come out later, in order or nearly.
 *
 * A frame is whatever the owner points at. Frames come out in the order in which they went in,
 * however their delays differ: jitter alone never reorders. One that is to be overtaken is held
 * back until 1 to 3 later frames have gone in, but not (if none come) beyond its due time or
 * PATH_HOLD_US, whichever is later. Bounded: ask path_room before path_put. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

enum {
	PATH_BACK = 8, /* frames held back at a time; others keep their place */
	PATH_HOLD_US = 10 * 1000,
};

struct path_frame {
	void *frame;
	uint64_t due_us;
};

struct path_back {
	void *frame;
	uint64_t due_us;
	uint64_t until_us;
	uint8_t overtakers; /* still to come */
};

struct path {
	struct path_frame *ring;
	uint32_t size; /* of the ring, and of all frames together */
	uint32_t head;
	uint32_t count;
	uint32_t back_count;
	struct path_back back[PATH_BACK]; /* oldest first */
};

/* `ring`: the caller's memory for frames_max frames; it may go once the path is empty. */
void path_init(struct path *p, struct path_frame *ring, uint32_t frames_max);
uint32_t path_room(const struct path *p);
void path_put(struct path *p, void *frame, uint8_t overtakers, uint64_t now_us, uint64_t due_us);
void *path_peek(struct path *p, uint64_t now_us); /* the next frame that is due; NULL */
void path_pop(struct path *p);                    /* takes out what path_peek gave */
uint64_t path_next_us(const struct path *p);      /* when to peek again; UINT64_MAX: empty */
