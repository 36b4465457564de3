/* mqtt.h - the MQTT session's state machine: one per connection.
 *
 * OPENING --CONNECT--> ASKED --grant--> LIVE --> CLOSING --> CLOSED
 *
 * Frames and time in, verbs out (session.h). One `step` and one table; every
 * event that a peer can cause has an edge that answers it with the reason code
 * that the specification names. QoS 0 is served; CONNACK says so (5.0 3.2.2.3.4, qos_max;
 * retain_available 0), a SUBSCRIBE is granted QoS 0.
 *
 * Spec: MQTT 5.0 parts 3 and 4, 3.1.1. Memory: the caller's; `mqtt_session`
 * holds no pointers to heap. Not here: bytes to frames (codec/mqtt.h),
 * matching, TCP. */
#pragma once
#include "dataplane/codec/mqtt.h"
#include "dataplane/fabric/fabric.h"
#include "dataplane/session/session.h"

enum mqtt_state { MQTT_OPENING, MQTT_ASKED, MQTT_LIVE, MQTT_CLOSING, MQTT_CLOSED, MQTT_STATES };

enum {
	MQTT_FILTERS_ANSWERED_MAX = 256, /* of one SUBSCRIBE; the rest gets 0x97 */
	MQTT_PARK_RETRY_US = 1000,       /* how often a parked session tries again */
	MQTT_SCRATCH_SLACK = 512,        /* what an encoder adds to the fields of one packet */
};

struct mqtt_session_conf {
	struct mqtt_limits limits;   /* control_size_max <= MESSAGE_HEAD_LARGE */
	uint64_t connect_timeout_us; /* from open to CONNECT */
	uint64_t grant_timeout_us;   /* from CONNECT to the control plane's answer: then busy */
	uint64_t park_timeout_us;    /* how long a publisher waits for memory before its message is
				      * dropped and counted */
	uint16_t keepalive_max_s;    /* larger wishes and 0 get this one (5.0 server keep alive);
				      * 0: no limit */
	struct counters *counters;
	/* Where one packet is built; shared by all sessions of a worker, used only inside a call:
	 * at least MESSAGE_HEAD_LARGE + MQTT_SCRATCH_SLACK bytes. */
	uint8_t *scratch;
	size_t scratch_size;
};

struct mqtt_session {
	const struct session_ops *ops;
	const struct mqtt_session_conf *conf;
	void *owner;
	struct message *incoming; /* a PUBLISH whose payload is still arriving */
	struct message *will;     /* published unless the client says goodbye */
	uint64_t heard_us;        /* last whole packet from the peer; before it, when we opened */
	uint64_t deadline_us;     /* what the timer was last set to; 0 none */
	uint64_t parked_since_us; /* 0: not waiting for room */
	uint64_t epoch;
	uint32_t payload_left;    /* bytes of the incoming PUBLISH still to come */
	uint32_t peer_packet_max; /* v5 client's Maximum Packet Size; 0: no limit */
	uint32_t pending_count;   /* filters of the packet that is being answered; 0: none is */
	uint16_t pending_left;    /* of them, how many answers are missing */
	uint16_t pending_id;      /* its packet identifier */
	uint16_t pending_serial;  /* tells the tokens of one packet from those of another */
	uint16_t keepalive_s;     /* what is enforced; 0: nothing */
	uint16_t keepalive_asked_s;
	uint8_t pending_type;  /* MQTT_SUBSCRIBE or MQTT_UNSUBSCRIBE */
	uint8_t version;       /* enum mqtt_version; 0 before CONNECT */
	uint8_t state;         /* enum mqtt_state; written by one function only */
	bool incoming_dropped; /* payload of a message that found no room is skipped */
	bool parked;           /* what the last input answered */
	bool clean_start;
	bool expiry_asked;    /* v5 Session Expiry Interval above 0, or 3.1.1 clean session 0 */
	bool id_left_to_us;   /* the client wants an id assigned */
	bool request_problem; /* v5: may we send reason strings */
	uint8_t pending_reasons[MQTT_FILTERS_ANSWERED_MAX];
};

void mqtt_session_open(struct mqtt_session *s, const struct session_ops *ops, void *owner,
	const struct mqtt_session_conf *conf, uint64_t now_us);
MUST_USE struct session_used mqtt_session_input(
	struct mqtt_session *s, struct span in, uint64_t now_us);
void mqtt_session_on_grant(
	struct mqtt_session *s, const struct session_grant *grant, uint64_t now_us);
void mqtt_session_on_subscribed(
	struct mqtt_session *s, uint32_t token, enum err e, uint64_t now_us);
void mqtt_session_on_timer(struct mqtt_session *s, uint64_t now_us);
/* Another connection took the session over, or the box stops: say so (v5) and finish. */
void mqtt_session_on_revoke(struct mqtt_session *s, enum err why, uint64_t now_us);
/* A message for this client. Never blocks; what does not fit is dropped and counted. May be called
 * from inside verbs.publish when a publisher subscribes to its own topic. */
void mqtt_session_deliver(
	struct mqtt_session *s, struct message *m, const struct delivery *d, uint64_t now_us);
/* The connection is gone, for whatever reason: publishes the will if it is due, and gives back what
 * the session holds. The last call. */
void mqtt_session_close(struct mqtt_session *s, uint64_t now_us);
void mqtt_session_check(const struct mqtt_session *s);
