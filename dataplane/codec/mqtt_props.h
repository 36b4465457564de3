/* mqtt_props.h - MQTT 5.0 properties (2.2.2), decoded into one flat struct.
 *
 * `has` has bit (1 << identifier) for each property that was present. Numbers that were not hold
 * the default that the specification gives. In front of an encoder `has` says what is written.
 * All spans point into the decoded frame. Not here: what the properties mean. */
#pragma once
#include "dataplane/base/reader.h"
#include "dataplane/base/writer.h"

enum { MQTT_SUB_IDS_MAX = 8 };

enum mqtt_property { /* table 2-4 */
	MQTT_PROPERTY_PAYLOAD_FORMAT = 1,
	MQTT_PROPERTY_MESSAGE_EXPIRY = 2,
	MQTT_PROPERTY_CONTENT_TYPE = 3,
	MQTT_PROPERTY_RESPONSE_TOPIC = 8,
	MQTT_PROPERTY_CORRELATION = 9,
	MQTT_PROPERTY_SUBSCRIPTION_ID = 11,
	MQTT_PROPERTY_SESSION_EXPIRY = 17,
	MQTT_PROPERTY_ASSIGNED_CLIENT_ID = 18,
	MQTT_PROPERTY_SERVER_KEEPALIVE = 19,
	MQTT_PROPERTY_AUTH_METHOD = 21,
	MQTT_PROPERTY_AUTH_DATA = 22,
	MQTT_PROPERTY_REQUEST_PROBLEM = 23,
	MQTT_PROPERTY_WILL_DELAY = 24,
	MQTT_PROPERTY_REQUEST_RESPONSE = 25,
	MQTT_PROPERTY_RESPONSE_INFO = 26,
	MQTT_PROPERTY_SERVER_REFERENCE = 28,
	MQTT_PROPERTY_REASON_STRING = 31,
	MQTT_PROPERTY_RECEIVE_MAX = 33,
	MQTT_PROPERTY_TOPIC_ALIAS_MAX = 34,
	MQTT_PROPERTY_TOPIC_ALIAS = 35,
	MQTT_PROPERTY_QOS_MAX = 36,
	MQTT_PROPERTY_RETAIN_AVAILABLE = 37,
	MQTT_PROPERTY_USER = 38,
	MQTT_PROPERTY_PACKET_SIZE_MAX = 39,
	MQTT_PROPERTY_WILDCARD_AVAILABLE = 40,
	MQTT_PROPERTY_SUB_IDS_AVAILABLE = 41,
	MQTT_PROPERTY_SHARED_AVAILABLE = 42,
	MQTT_PROPERTY_END
};

struct mqtt_props {
	uint64_t has;                                /* 1 << enum mqtt_property */
	uint32_t session_expiry_s;                   /* absent: 0 */
	uint32_t message_expiry_s;                   /* absent: 0, does not expire; 0 can be sent */
	uint32_t will_delay_s;                       /* absent: 0 */
	uint32_t packet_size_max;                    /* absent: 0, no limit; 0 cannot be sent */
	uint32_t subscription_ids[MQTT_SUB_IDS_MAX]; /* further ones are checked, not kept */
	uint8_t subscription_id_count;               /* of those kept */
	uint8_t payload_format;                      /* 1: the payload is UTF-8; absent: 0 */
	uint8_t request_problem;                     /* absent: 1 */
	uint8_t request_response;                    /* absent: 0 */
	uint8_t qos_max;                             /* absent: 2 */
	uint8_t retain_available;                    /* absent: 1, as the next three */
	uint8_t wildcard_available;
	uint8_t sub_ids_available;
	uint8_t shared_available;
	bool user_split;             /* decoding: more than one user pair, so `user` is empty */
	uint16_t server_keepalive_s; /* absent: 0, the client's own holds */
	uint16_t receive_max;        /* absent: 65535 */
	uint16_t topic_alias_max;    /* absent: 0 */
	uint16_t topic_alias;        /* absent: 0 */
	struct span content_type;
	struct span response_topic;
	struct span correlation;
	struct span assigned_client_id;
	struct span auth_method;
	struct span auth_data;
	struct span response_info;
	struct span server_reference;
	struct span reason_string;
	struct span
		user; /* pairs {u16 size, key, u16 size, value}, joined. On the wire an identifier
		       * lies between two pairs, so a decoded view holds one pair at most */
	struct span raw; /* decoding: the whole property block, for mqtt_next_user */
};

/* Nothing present: zeros, and the defaults above. */
void mqtt_props_init(struct mqtt_props *p);

static inline bool mqtt_props_has(const struct mqtt_props *p, enum mqtt_property id)
{
	return (p->has >> id & 1) != 0;
}

/* Walks user properties in order of appearance: pass the decoded `raw` block as reader. */
bool mqtt_next_user(struct reader *raw, struct span *key, struct span *value);

/* Writes all user pairs of decoded or own properties in the form of `user`: joined, without
 * identifiers. What raw.size bytes hold is always room enough for a decoded block. */
void mqtt_join_user(struct writer *w, const struct mqtt_props *p);
