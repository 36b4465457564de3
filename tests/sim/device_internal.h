/* device_internal.h - what the device's own files share. */
#pragma once
#include "tests/sim/device.h"

enum out_stage { OUT_WAITING, OUT_SENT, OUT_RELEASED };

struct out {
	uint32_t message; /* in the ledger */
	uint16_t packet_id;
	uint8_t qos;
	bool retain;
	uint8_t stage;     /* enum out_stage */
	uint64_t after_us; /* PUBREL: not before */
	bool repeated;     /* PUBREL: on an older connection, too */
	uint32_t said;     /* connection on which the current stage was last said; 0: none */
	char topic[LEDGER_TOPIC_MAX];
};

struct in {
	uint16_t packet_id;
	uint32_t message;
	uint32_t connection; /* on which it came last */
};

enum want { WANT_NOTHING, WANT_ASK, WANT_ASKED, WANT_GRANTED, WANT_LEAVE, WANT_LEAVING };

struct want_filter {
	uint8_t state; /* enum want */
	uint8_t qos;
	uint16_t packet_id;
	uint32_t book; /* subscription in the ledger */
	char filter[LEDGER_TOPIC_MAX];
};

struct due {
	uint64_t at_us;
	uint16_t packet_id;
	uint8_t type; /* enum mqtt_type */
};

/* What the box must know of us. */
enum kept { KEPT_NOTHING, KEPT_MAYBE, KEPT_SURE };

struct device {
	struct device_conf conf;
	struct world *world;
	struct ledger *ledger;
	struct client *client;
	struct rng rng;
	uint64_t now_us;
	bool stay, purge, leaving, confused;
	bool over;                    /* our session: whatever is present is another one */
	bool clean;                   /* what this connection's CONNECT said */
	uint64_t retry_us;            /* not before */
	uint64_t patient_us;          /* until then; UINT64_MAX: for ever */
	uint32_t connection;          /* how many there were */
	uint32_t session;             /* in the ledger; LEDGER_NONE: none */
	uint8_t kept;                 /* enum kept */
	uint64_t granted_us, hold_us; /* nothing is published for so long after */
	uint64_t gone_us;             /* when the last one ended */
	uint32_t will;      /* message in the ledger, of this connection; LEDGER_NONE: none */
	bool granted;       /* this connection */
	uint32_t late_will; /* its delay runs */
	uint64_t late_will_from_us;
	bool late_will_doubted; /* a CONNECT since then that was not answered may have voided it */
	uint32_t void_will;     /* the last one */
	uint64_t void_will_us;
	uint16_t packet_id;
	uint32_t server_window;
	struct out out[DEVICE_OUTBOX_MAX]; /* oldest first */
	uint32_t out_count;
	struct in in[DEVICE_INBOX_MAX];
	uint32_t in_count;
	uint32_t unacknowledged; /* by us, on this connection */
	struct due due[4 * DEVICE_INBOX_MAX];
	uint32_t due_count;
	struct want_filter want[DEVICE_SUBSCRIPTIONS_MAX];
	bool receiving; /* a PUBLISH */
	struct mqtt_publish head;
	size_t payload_size;
	uint8_t will_payload[64];
	uint8_t payload[LEDGER_PAYLOAD_MAX];
	uint8_t packet[LEDGER_PAYLOAD_MAX + 256]; /* one on its way out */
};

bool device_write(struct device *d, const struct writer *w);
bool device_acknowledge(struct device *d, enum mqtt_type type, uint16_t packet_id);
void device_acknowledge_later(struct device *d, enum mqtt_type type, uint16_t packet_id);
bool device_send(struct device *d);
uint32_t device_under_way(const struct device *d); /* sent, and not answered for good */
void device_on_answer(struct device *d, enum mqtt_type type, const struct mqtt_ack *a);
void device_lost_outbox(struct device *d);
uint64_t device_release_us(const struct device *d); /* when a PUBREL is due that was held back */
uint16_t device_next_id(struct device *d);
void device_on_head(struct device *d, const struct mqtt_publish *p);
void device_on_piece(struct device *d, struct span topic, struct span piece, bool whole);
void device_on_release(struct device *d, uint16_t packet_id);
void device_will_said(struct device *d, struct client_greeting *g);
void device_will_gone(struct device *d, bool goodbye);
void device_will_returned(struct device *d, bool clean);
