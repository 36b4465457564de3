/* peer.h - what the workers of one box say to each other: a ring for each ordered pair.
 *
 * One producer, one consumer, slots of 64 bytes in memory of the process, taken
 * at start. A worker drains its incoming rings before it reads the NIC, and
 * never waits on a full one: what cannot be sent is parked or dropped by its
 * sender. The last slots are kept for PEER_RESERVED kinds (answers, releases),
 * so two full rings cannot wait for each other. Pointers are good: it is one
 * process. Not here: what is done about a slot (route.c, steer.c). */
#pragma once
#include "dataplane/base/attr.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	PEER_SLOTS = 4096,
	PEER_SLOTS_KEPT = 512, /* for answers and releases */
};

enum peer_kind {
	PEER_FRAME = 1, /* p: an mbuf whose connection is yours; takes it */
	PEER_NEIGHBOUR, /* p: an ARP frame to learn from, not to answer; takes it */
	/* Lent until PEER_RELEASE: p is a message; `loan` and `payload` go with it. */
	PEER_MESSAGE,  /* fan it out to your connections */
	PEER_INTEREST, /* its topic is a filter, a: 1 begins, 0 ends; b: token for PEER_APPLIED */
	PEER_FORWARD,  /* publish it as its topic's owner; a: packet id, b: token, c: will of,
			* flags: enum peer_forward_flags */
	PEER_SNAPSHOT, /* a: snapshot, flags: enum peer_snapshot_flags, b: how many; its topic is
			* the filter, where to seek, or p is NULL */
	PEER_VALUE,    /* a retained value for snapshot a */
	/* Answers: they have room that the others have not. */
	PEER_RESERVED,
	PEER_RELEASE = PEER_RESERVED, /* `loan` comes back */
	PEER_APPLIED,                 /* b: token of an INTEREST; a: enum err */
	PEER_ROUTED,                  /* b: token of a FORWARD: all of the box have it */
	PEER_FORWARDED,               /* b: token of a FORWARD: durable; a: enum err */
	PEER_SNAPSHOT_END,            /* a: snapshot; b: 1 if there is more, 0 if that was all */
	PEER_KINDS
};

enum peer_forward_flags {
	PEER_FORWARD_RECORD = 1 /* the packet id, for the publisher's session */
};
enum peer_snapshot_flags {
	PEER_SNAPSHOT_BEGIN = 1,
	PEER_SNAPSHOT_SEEK = 2,
	PEER_SNAPSHOT_CLOSE = 4
};

struct rte_mbuf;

struct peer_slot {
	uint8_t kind; /* enum peer_kind */
	uint8_t flags;
	uint16_t from; /* worker; set by peer_push */
	uint32_t a;
	uint64_t b, c;
	void *p;
	struct rte_mbuf *payload; /* of p: a reference of the receiver's own */
	uint32_t loan;            /* the lender's */
	uint32_t qos;             /* SNAPSHOT BEGIN: granted... */
	uint32_t identifier;      /* ...and of the subscription */
	uint32_t reserved;
	uint64_t session; /* SNAPSHOT BEGIN: durable session whose queue gets them; 0: none */
};

struct peers; /* all rings of a box */

MUST_USE struct peers *peers_create(uint32_t workers); /* NULL: no memory */
void peers_destroy(struct peers **p);                  /* the rings must be empty */
size_t peers_bytes(uint32_t workers);
uint32_t peers_workers(const struct peers *p);

/* Only worker `from` calls these two. False: full, and nothing was taken. */
MUST_USE bool peer_push(struct peers *p, uint32_t from, uint32_t to, const struct peer_slot *slot);
uint32_t peer_room(const struct peers *p, uint32_t from, uint32_t to); /* without the kept ones */
/* Only worker `to` calls these two. */
MUST_USE bool peer_pop(struct peers *p, uint32_t from, uint32_t to, struct peer_slot *out);
bool peer_pending(const struct peers *p, uint32_t to);

/* Waking a worker that waits for its NIC: it says so, looks once more, then waits for its event
 * descriptor beside the NIC's. Pushers ring once a turn. As in shm/doorbell.h. */
void peer_sleep(struct peers *p, uint32_t worker);
void peer_wake(struct peers *p, uint32_t worker);
void peer_ring(struct peers *p, uint32_t to);
void peers_ring(struct peers *p, uint32_t from);     /* all to whom `from` has pushed since */
int peer_fd(const struct peers *p, uint32_t worker); /* -1: none, for it is alone */
