/* mqtt_packets.h - the single MQTT control packets as structs of views.
 *
 * All spans point into the decoded frame. Spec: MQTT 5.0 part 3, 3.1.1 part 3. */
#pragma once
#include "dataplane/codec/mqtt_props.h"

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
