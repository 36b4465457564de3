/* mqtt_packets.h - the single MQTT control packets as structs of views.
 *
 * All spans point into the decoded frame. Spec: MQTT 5.0 part 3, 3.1.1 part 3. */
#pragma once
#include "dataplane/base/reader.h"
#include "dataplane/base/writer.h"

enum mqtt_type {
	MQTT_CONNECT = 1,
	MQTT_CONNACK,
	MQTT_PUBLISH,
	MQTT_PUBACK,
	MQTT_PUBREC,
	MQTT_PUBREL,
	MQTT_PUBCOMP,
	MQTT_SUBSCRIBE,
	MQTT_SUBACK,
	MQTT_UNSUBSCRIBE,
	MQTT_UNSUBACK,
	MQTT_PINGREQ,
	MQTT_PINGRESP,
	MQTT_DISCONNECT,
	MQTT_AUTH
};

enum mqtt_version { MQTT_V3 = 3, MQTT_V4 = 4, MQTT_V5 = 5 };

enum { MQTT_SUB_IDS_MAX = 8 };

/* Properties (5.0 2.2.2.2), decoded. `has` has bit (1 << identifier) for each that was present;
 * numbers not present hold the default that the specification gives. User properties and, in a
 * PUBLISH from the server, subscription identifiers may repeat. */
struct mqtt_props {
	uint64_t has;
	uint32_t session_expiry_s;                   /* 17 */
	uint32_t message_expiry_s;                   /* 2 */
	uint32_t will_delay_s;                       /* 24 */
	uint32_t packet_size_max;                    /* 39 */
	uint32_t subscription_ids[MQTT_SUB_IDS_MAX]; /* 11; beyond the max only counted in `has` */
	uint8_t subscription_id_count;
	uint8_t payload_format;         /* 1 */
	uint8_t request_problem;        /* 23 */
	uint8_t request_response;       /* 25 */
	uint8_t qos_max;                /* 36 */
	uint8_t retain_available;       /* 37 */
	uint8_t wildcard_available;     /* 40 */
	uint8_t sub_ids_available;      /* 41 */
	uint8_t shared_available;       /* 42 */
	uint16_t server_keepalive_s;    /* 19 */
	uint16_t receive_max;           /* 33 */
	uint16_t topic_alias_max;       /* 34 */
	uint16_t topic_alias;           /* 35 */
	struct span content_type;       /* 3 */
	struct span response_topic;     /* 8 */
	struct span correlation;        /* 9 */
	struct span assigned_client_id; /* 18 */
	struct span auth_method;        /* 21 */
	struct span auth_data;          /* 22 */
	struct span response_info;      /* 26 */
	struct span server_reference;   /* 28 */
	struct span reason_string;      /* 31 */
	struct span user; /* 38: encoded pairs {u16 len, key, u16 len, value}..., joined */
	bool user_split;  /* decoding: user pairs were not adjacent; see mqtt_next_user */
	struct span raw;  /* decoding: the whole property block, for mqtt_next_user */
};

struct mqtt_connect {
	enum mqtt_version version;
	bool clean_start;
	bool has_will, will_retain;
	uint8_t will_qos;
	bool has_username, has_password;
	uint16_t keepalive_s;
	struct mqtt_props props;
	struct span client_id;
	struct mqtt_props will_props;
	struct span will_topic, will_payload;
	struct span username, password;
};

struct mqtt_connack {
	bool session_present;
	uint8_t reason; /* v5 reason code; in 3.1.1 the return code 0-5 */
	struct mqtt_props props;
};

struct mqtt_publish {
	bool dup, retain;
	uint8_t qos;
	uint16_t packet_id; /* QoS 1 and 2 */
	struct span topic;
	struct mqtt_props props;
};

struct mqtt_ack {
	uint16_t packet_id;
	uint8_t reason;
	struct mqtt_props props;
};

struct mqtt_subscribe {
	uint16_t packet_id;
	struct mqtt_props props;
	struct reader filters; /* for mqtt_next_filter */
	uint32_t filter_count;
	bool has_options; /* SUBSCRIBE: an options byte follows each filter */
};

struct mqtt_filter {
	struct span filter;
	uint8_t qos;
	bool no_local, retain_as_published;
	uint8_t retain_handling; /* 0-2 */
};

struct mqtt_suback {
	uint16_t packet_id;
	struct mqtt_props props;
	struct span reasons; /* one byte a filter; 3.1.1 UNSUBACK: empty */
};

struct mqtt_reason {
	uint8_t reason;
	struct mqtt_props props;
};

/* Walks user properties in order of appearance: pass the decoded `raw` block as reader. */
bool mqtt_next_user(struct reader *raw, struct span *key, struct span *value);
