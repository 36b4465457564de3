/* stream_end.h - one end of a wire for stream_play.c: a TCP stack that opens, sends, reads, ends.
 *
 * Two kinds: ours (stream_ours.c) and lwIP (stream_lwip.c), which knows nothing of ours. Bytes are
 * those of a pattern, named by where they begin in it, so that a stack may lend them. All in
 * virtual time. Not here: what must come of it. */
#pragma once
#include "drivers/driver.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	STREAM_PATTERN = 65521, /* bytes of the pattern: a prime */
	STREAM_PORT = 1883,     /* both ends listen there */
	STREAM_CONNECTIONS = 64,
};

enum end_event_kind { END_ACCEPTED, END_CONNECTED, END_CLOSED };

struct end_event {
	enum end_event_kind kind;
	uint64_t conn; /* names the connection in calls; as the end likes it */
	uint64_t user; /* not of ACCEPTED */
	uint16_t peer_port;
	bool in_order; /* CLOSED: both ways ended by FIN; else by a reset or by time */
};

struct end_conf {
	struct driver *driver;
	unsigned side; /* 0 or 1: address 10.0.0.1 or 10.0.0.2, MAC 02:00:00:00:00:01 or 02 */
	uint16_t mtu, segs_max;
	uint32_t window, send_queue;
	bool tight; /* pools so small that they run out */
	const uint8_t *pattern;
	struct counters *counters;
	uint64_t seed;
};

/* What must be zero when all is over. */
struct end_left {
	uint64_t connections, timers, buffers, lent;
};

struct end {
	const struct end_ops *ops;
	struct driver *driver;
};

struct end_ops {
	void (*begin)(struct end *e, uint64_t now_us); /* of a turn: frames in, timers */
	bool (*next_event)(struct end *e, struct end_event *out);
	void (*finish)(struct end *e, uint64_t now_us); /* of the turn: frames out */
	uint64_t (*next_us)(const struct end *e);
	/* From that port to the other end's STREAM_PORT; false: the port is not free. */
	bool (*connect)(struct end *e, uint16_t port, uint64_t user, uint64_t now_us);
	void (*set_user)(struct end *e, uint64_t conn, uint64_t user);
	/* How many of the pattern's bytes at `at` it took: 0 or more. */
	size_t (*send)(struct end *e, uint64_t conn, uint32_t at, size_t size);
	size_t (*recv)(struct end *e, uint64_t conn, uint8_t *to, size_t size);
	bool (*at_end)(struct end *e, uint64_t conn);     /* FIN received, all read */
	void (*half_close)(struct end *e, uint64_t conn); /* FIN after what was sent */
	void (*abort)(struct end *e, uint64_t conn);
	void (*release)(struct end *e, uint64_t conn); /* after CLOSED */
	struct end_left (*left)(const struct end *e);
	void (*close)(struct end *e);
};

struct end *end_ours(const struct end_conf *conf);
struct end *end_lwip(const struct end_conf *conf);
