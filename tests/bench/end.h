/* end.h - the generator's end of its connections: the kernel's sockets, or our own TCP.
 *
 * Connections are known by the caller's numbers, 0 to `connections` - 1, each of them open at most
 * once at a time. What is sent goes out at the end of a turn, together. One thread. */
#pragma once
#include "dataplane/base/attr.h"
#include "dataplane/base/span.h"

struct end;

struct end_events {
	void (*opened)(void *owner, uint32_t connection);
	/* Unread bytes, oldest first; says how many it has used. The rest comes again, with more.
	 */
	size_t (*bytes)(void *owner, uint32_t connection, struct span bytes);
	/* Gone, and may be opened again. Not told about what end_ops.close ended. */
	void (*closed)(void *owner, uint32_t connection);
	void *owner;
};

struct end_conf {
	uint32_t connections;
	size_t frame_max; /* bytes of the largest frame in either direction */
	char address[16]; /* of the broker */
	uint16_t port;
	char memif[108]; /* socket of the box's memif; our own TCP only, like the next two */
	char own_address[16];
	struct end_events events;
};

struct end_ops {
	bool (*open)(struct end *e, uint32_t connection); /* false: cannot now, and why in errno */
	/* All or nothing. False: the peer does not take it as fast; try in a later turn. */
	bool (*send)(struct end *e, uint32_t connection, struct span bytes);
	void (*close)(struct end *e, uint32_t connection); /* at once, without TIME-WAIT */
	/* Sends, receives, and tells. Waits at most so long if there is nothing to do. */
	void (*turn)(struct end *e, uint64_t wait_us);
	void (*destroy)(struct end **e);
};

struct end {
	const struct end_ops *ops;
};

MUST_USE struct end *end_kernel_create(const struct end_conf *conf);
/* Starts DPDK, on that core (-1: any); ends the process with a message if the box is not there. */
MUST_USE struct end *end_stack_create(const struct end_conf *conf, int core);
