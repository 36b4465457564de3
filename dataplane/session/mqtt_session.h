/* mqtt_session.h - an MQTT session as it lies in its connection, and what all of a worker share.
 *
 * Embedded by the worker, touched only by the session's own files. Rare and
 * bulky things are in pools: mqtt_memory.h. Not here: what it does (mqtt.h). */
#pragma once
#include "dataplane/codec/mqtt.h"
#include "dataplane/session/mqtt_memory.h"
#include "dataplane/session/session.h"

enum mqtt_state { MQTT_OPENING, MQTT_ASKED, MQTT_LIVE, MQTT_CLOSING, MQTT_CLOSED, MQTT_STATES };

enum {
	MQTT_FILTERS_FEW = 16,      /* their answers lie in the session */
	MQTT_PARK_RETRY_US = 1000,  /* how often a parked session tries again */
	MQTT_ROOM_RETRY_US = 20000, /* how often what waits for room looks by itself */
	MQTT_SCRATCH_SLACK = 512,   /* what an encoder adds to the fields of one packet */
};

struct mqtt_session_conf {
	struct mqtt_limits limits;     /* control_size_max <= MESSAGE_HEAD_LARGE */
	uint64_t connect_timeout_us;   /* from open to CONNECT */
	uint64_t grant_timeout_us;     /* from CONNECT to the control plane's answer: then busy */
	uint64_t park_timeout_us;      /* how long a publisher waits for room before its message is
					* refused or dropped, and counted */
	uint32_t session_expiry_max_s; /* longer wishes get this one; UINT32_MAX: no limit */
	uint16_t receive_max;          /* unanswered publishes of one client; not 0 */
	uint16_t topic_alias_max;      /* 0: none */
	uint16_t keepalive_max_s;      /* larger wishes and 0 get this one; 0: no limit */
	bool retains_nothing;          /* retained values are not offered */
	struct counters *counters;
	struct mqtt_memory *memory; /* shared by all sessions of a worker */
	/* Where one packet is built; shared likewise, used only inside a call: at least
	 * MESSAGE_HEAD_LARGE + MQTT_SCRATCH_SLACK bytes. */
	uint8_t *scratch;
	size_t scratch_size;
};

struct mqtt_list { /* of inbound nodes */
	uint32_t first, last, count;
};

struct mqtt_session {
	const struct session_ops *ops;
	const struct mqtt_session_conf *conf;
	void *owner;
	struct message *incoming; /* a PUBLISH whose payload arrives, or that finds no room */
	struct message *will;     /* ours to publish; NULL if the control plane keeps it */
	uint64_t heard_us;        /* last whole packet from the peer; before it, when we opened */
	uint64_t deadline_us;     /* what the timer was last set to; 0 none */
	uint64_t parked_since_us; /* 0: not waiting for room */
	uint64_t epoch;
	struct outbound out;
	struct mqtt_list owed;  /* publishes without PUBACK or PUBREC, in order of arrival */
	struct mqtt_list held;  /* QoS 2: PUBREC is out, PUBCOMP is not due */
	struct mqtt_list done;  /* PUBCOMP is due */
	uint32_t counted;       /* of them all, how many stand against our receive maximum */
	uint32_t incoming_node; /* owed for `incoming`, or for what is skipped; POOL_NONE */
	uint32_t aliases;       /* first pieces of topics; POOL_NONE */
	uint32_t alias_chunks;
	uint32_t payload_left;    /* bytes of the incoming PUBLISH still to come */
	uint32_t peer_packet_max; /* v5 client's Maximum Packet Size; 0: no limit */
	uint32_t expiry_s;        /* of the session, as far as we allow */
	uint32_t expiry_asked_s;  /* v5: Session Expiry Interval; 3.1.1: 0 or for ever */
	uint32_t pending_count;   /* filters of the packet that is being answered; 0: none is */
	uint32_t pending_block;   /* of memory->filters, for more than a few; else POOL_NONE */
	uint16_t pending_left;    /* of them, how many answers are missing */
	uint16_t pending_id;      /* its packet identifier */
	uint16_t pending_serial;  /* tells the tokens of one packet from those of another */
	uint16_t keepalive_s;     /* what is enforced; 0: nothing */
	uint16_t keepalive_asked_s;
	uint8_t pending_type;  /* MQTT_SUBSCRIBE or MQTT_UNSUBSCRIBE */
	uint8_t version;       /* enum mqtt_version; 0 before CONNECT */
	uint8_t state;         /* enum mqtt_state; written by one function only */
	bool incoming_dropped; /* payload of a message that is not taken is skipped */
	bool parked;           /* what the last input answered */
	bool window_full;      /* 3.1.1: input waits until publishes are answered */
	bool blocked;          /* the send queue was full; until on_writable or the retry */
	bool declined;         /* a delivery was: say when there is room */
	bool clean_start;
	bool id_left_to_us;   /* the client wants an id assigned */
	bool request_problem; /* v5: may we send reason strings */
	bool aliases_offered;
	bool durable, kept; /* as granted */
	bool ids_lost;      /* a received packet id found no room: do not begin */
	uint8_t pending_few[MQTT_FILTERS_FEW];
};
