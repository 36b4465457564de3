/* inspect.h - questions about connections, put to the control plane until they are answered.
 *
 * A few at a time, one message under way; never waits. A worker that is still
 * looking is asked again soon, a control plane that was restarted is dialled
 * again, until the question's time is over. Not here: HTTP (http/connections.c),
 * documents (connections.h). */
#pragma once
#include "controlplane/ipc/ipc.h"

enum {
	INSPECTIONS_MAX = 8,
	INSPECT_AGAIN_US = 2000,
	INSPECT_GIVE_UP_US = 2000 * 1000,
	INSPECT_CONNECT_MS = 20,
};

enum inspect_result { INSPECT_PENDING, INSPECT_DONE, INSPECT_GIVEN_UP };

struct inspection {
	bool used;
	enum inspect_result result;
	struct ipc_inspect ask;
	uint64_t since_us, next_us;  /* when it came; when it is sent next */
	struct shm_answer_head head; /* DONE: the answer */
	uint8_t records[SHM_ANSWER_BYTES];
};

struct inspections {
	const char *path; /* NULL: nobody to ask */
	int fd;           /* -1: not connected */
	uint32_t token;   /* of the last message */
	int under_way;    /* whose message it was; -1: none */
	struct inspection slots[INSPECTIONS_MAX];
};

/* Tries to connect at once, while we still have our rights. */
void inspections_init(struct inspections *all, const char *path);
void inspections_fini(struct inspections *all);
/* NULL: there are as many as may be. */
struct inspection *inspections_add(
	struct inspections *all, const struct ipc_inspect *ask, uint64_t now_us);
void inspections_remove(struct inspections *all, struct inspection *one);
/* The socket is readable: takes an answer. */
void inspections_read(struct inspections *all, uint64_t now_us);
/* Sends what is due and gives up what is old. */
void inspections_turn(struct inspections *all, uint64_t now_us);
void inspections_give_up(struct inspections *all); /* all of them: we end */
/* When the next turn is due; UINT64_MAX: not before somebody asks. */
uint64_t inspections_next_us(const struct inspections *all);
