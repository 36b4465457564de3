/* device.h - a well-behaved MQTT client: what it keeps from one connection to the next.
 *
 * Publishes at any QoS and says again what was not answered (DUP, PUBREL),
 * remembers the packet ids that it has received at QoS 2, acknowledges late and in
 * order, comes back when it is told to. Everything is reported to the ledger: what
 * it may count on, and what came. The world moves it by device_turn. Not here:
 * bytes (client.h), what to do when (the scenario). */
#pragma once
#include "dataplane/base/rng.h"
#include "tests/sim/client.h"
#include "tests/sim/ledger.h"

enum {
	DEVICE_OUTBOX_MAX = 64,
	DEVICE_SUBSCRIPTIONS_MAX = 8,
	DEVICE_INBOX_MAX = 64, /* unacknowledged from the box */
	DEVICE_RETRY_US = 200000,
	DEVICE_SOON_US = 1000000,
	DEVICE_HOLD_MAX_US = 2000000,
	DEVICE_PATIENCE_US = 3000000, /* for a CONNACK, and for the end after a goodbye */
	DEVICE_EXPIRY_MARGIN_US = 10000000,
};

struct device_conf {
	uint32_t number; /* in the ledger; from 1 */
	const char *id;
	enum mqtt_version version;
	bool clean;            /* never durable */
	uint32_t expiry_s;     /* 5.0, unless clean */
	uint16_t receive_max;  /* 5.0; 0: not said */
	uint32_t window;       /* publishes under way */
	uint32_t ack_delay_us; /* at most */
	const char *will_topic;
	uint8_t will_qos;
	uint32_t will_delay_s;
	uint64_t seed;
};

struct device;

MUST_USE struct device *device_create(
	struct world *w, struct ledger *l, const struct device_conf *conf);
void device_destroy(struct device **d);              /* before its world */
bool device_turn(struct device *d, uint64_t now_us); /* true: it did something */
uint64_t device_next_us(const struct device *d);

/* Whether it comes back when its connection is gone. */
void device_stay(struct device *d, bool connected, uint64_t now_us);
void device_drop(struct device *d);    /* the connection, without a word */
void device_goodbye(struct device *d); /* DISCONNECT */
void device_purge(struct device *d);   /* the next CONNECT starts clean */
/* False: no room in the outbox or the book. */
bool device_publish(struct device *d, const char *topic, uint32_t size, uint8_t qos, bool retain);
/* One filter is asked for once at a time. False: no room, or not now. */
bool device_subscribe(struct device *d, const char *filter, uint8_t qos);
bool device_unsubscribe(struct device *d, const char *filter);

/* A dataplane or the machine died: what was said in its last moments may not have been heard. */
void device_disturbed(struct device *d, uint64_t now_us);
/* The wall clock jumped: nobody knows what has expired. */
void device_confused(struct device *d);
bool device_live(const struct device *d);
bool device_settled(const struct device *d); /* live, and nothing under way */
uint32_t device_session(const struct device *d);
/* For a last word on it when it never settles. */
void device_print(const struct device *d);
