/* mqtt_messages.h - what the files of the MQTT session share about messages; as mqtt_internal.h,
 * for nobody else.
 *
 * In: mqtt_publish.c, mqtt_inbound.c, mqtt_alias.c. Out: mqtt_outbound.c. */
#pragma once
#include "dataplane/session/mqtt_internal.h"

/* mqtt_connect.c: to those who keep the session; only the first one of a connection */
struct mqtt_goodbye {
	bool will_void, expiry_changed;
	uint32_t expiry_s;
};
void mqtt_farewell(struct mqtt_session *s, const struct mqtt_goodbye *g);

/* mqtt_publish.c: PUBLISH from the client */
mqtt_action mqtt_take_publish, mqtt_take_payload;
/* A whole message that found no room is published now, waits on, or its time is over. */
MUST_USE enum mqtt_event mqtt_retry_publish(struct mqtt_session *s, struct mqtt_cause *c);
/* Takes *m unless NO_ROOM; counts. */
MUST_USE enum published mqtt_publish_message(
	struct mqtt_session *s, struct message **m, const struct publish_order *o, bool *matched);
bool mqtt_publish_waits(const struct mqtt_session *s);
MUST_USE bool mqtt_topic_reserved(struct span topic); /* not for clients to publish to */
/* User properties may lie in the scratch: valid until it is used again. */
struct message_props mqtt_message_props(const struct mqtt_session *s, const struct mqtt_props *p);

/* mqtt_inbound.c: what the client is owed for its publishes, and the ids of QoS 2 */
enum mqtt_admission {
	MQTT_ADMIT_NEW,
	MQTT_ADMIT_AGAIN,   /* QoS 2: it is here already; answer, do not publish */
	MQTT_ADMIT_REFUSED, /* its answer says why */
	MQTT_ADMIT_LATER,   /* read on when answers are out */
	MQTT_ADMIT_NEVER,   /* a violation */
};
mqtt_action mqtt_take_published, mqtt_take_released, mqtt_take_pubrel;
MUST_USE enum mqtt_admission mqtt_inbound_admit(
	struct mqtt_session *s, const struct mqtt_publish *p, enum err *why);
/* A place for the answer; POOL_NONE: no room. */
MUST_USE uint32_t mqtt_inbound_owe(
	struct mqtt_session *s, const struct mqtt_publish *p, enum mqtt_admission a);
uint16_t mqtt_inbound_id(const struct mqtt_session *s, uint32_t index);
uint8_t mqtt_inbound_qos(const struct mqtt_session *s, uint32_t index);
void mqtt_inbound_code(struct mqtt_session *s, uint32_t index, uint8_t code); /* the first stays */
void mqtt_inbound_answer(struct mqtt_session *s, uint32_t index); /* sent by the next flush */
MUST_USE bool mqtt_inbound_hold(struct mqtt_session *s, uint16_t packet_id); /* false: no room */
MUST_USE enum err mqtt_inbound_flush(struct mqtt_session *s);
void mqtt_inbound_clear(struct mqtt_session *s);
void mqtt_inbound_check(const struct mqtt_session *s); /* walks the lists; for tests */

/* mqtt_outbound.c: messages towards the client, its acknowledgements */
mqtt_action mqtt_take_delivery, mqtt_take_resumption, mqtt_take_received, mqtt_take_ack;
mqtt_action mqtt_flush; /* sends what is owed and due and may go now */
MUST_USE enum mqtt_event mqtt_answer_unknown(
	struct mqtt_session *s, struct mqtt_cause *c, enum mqtt_type answer);

/* mqtt_alias.c: topic aliases of the client */
bool mqtt_alias_offer(const struct mqtt_session *s); /* there is room for a new client's */
/* Sets an alias, or replaces the empty topic of *p by what it stands for. */
MUST_USE enum err mqtt_alias_resolve(struct mqtt_session *s, struct mqtt_publish *p);
void mqtt_alias_clear(struct mqtt_session *s);
