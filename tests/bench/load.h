/* load.h - publishers and subscribers over an end, and what became of their messages.
 *
 * Each publisher has a topic and as many subscribers of it as the shape says: fan-out is one
 * publisher with many, point to point is many with one. A payload begins with the time at which
 * it was to be sent and its number, so that a subscriber sees loss and delay by itself.
 *
 * Closed loop (rate 0): a publisher has at most `window` messages that have not reached all their
 * subscribers, or were not acknowledged. Open loop: messages are due at fixed times whatever the
 * broker does, and a delay counts from when a message was due, not from when it could be sent:
 * there is no coordinated omission. Not here: bytes (wire.h), connections (end.h), clocks. */
#pragma once
#include "tests/bench/end.h"
#include "tests/bench/histogram.h"
#include "tests/bench/wire.h"

enum { LOAD_PAYLOAD_MIN = 16 };

struct load_conf {
	const struct wire *wire;
	const char *name;          /* client ids and topics begin with it */
	uint32_t publishers;       /* of `connects`: clients that come and go */
	uint32_t subscribers_each; /* of one publisher */
	uint32_t idle;             /* clients that only subscribe, to a topic of their own */
	bool connects;             /* clients come and go, and nothing is published */
	uint32_t window;
	uint8_t qos;
	uint32_t payload_size;
	uint64_t rate;        /* messages published a second, all together; 0: closed loop */
	uint32_t opening_max; /* connections that are being made at once */
};

struct load_counts {
	uint64_t published, delivered, acknowledged, connected;
	uint64_t lost;       /* never came, as far as known when the run ended */
	uint64_t duplicated; /* came twice, or after they were given up */
	uint64_t refused;    /* connections or subscriptions */
	uint64_t closed;     /* connections, not by us */
	uint64_t broken;     /* frames that could not be read */
};

struct load;

MUST_USE struct load *load_create(const struct load_conf *conf);
void load_destroy(struct load **l);
uint32_t load_clients(const struct load_conf *conf);
/* The end's events are the load's: give them to the end that is then bound to it. */
struct end_events load_events(struct load *l);
void load_bind(struct load *l, struct end *end);

/* Opens what is not open, publishes what is due. Call before each turn of the end. */
void load_step(struct load *l, uint64_t now_ns);
/* Used in events during the end's turn; a fresh time for each delivery. */
void load_clock(struct load *l, uint64_t (*now_ns)(void));
bool load_ready(const struct load *l); /* all are connected and have subscribed */
void load_go(struct load *l, bool on); /* publishes from now on, or no more */
/* Until then, only loss is recorded. Clears the counts and the delays but what was lost. */
void load_measure(struct load *l, bool on);
/* Nothing is under way. */
bool load_quiet(const struct load *l);
/* Nothing has come for so long that what is under way is given up; it counts as lost. */
bool load_give_up(struct load *l, uint64_t now_ns, uint64_t patience_ns);
/* The next message of an open loop; UINT64_MAX: none. */
uint64_t load_next_ns(const struct load *l);

const struct load_counts *load_counts(const struct load *l);
const struct histogram *load_delays(const struct load *l); /* nanoseconds */
