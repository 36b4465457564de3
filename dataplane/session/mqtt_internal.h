/* mqtt_internal.h - what the files of the MQTT session share; beside tests nobody else includes it.
 *
 * An action performs what an edge asks for and may name an event that follows
 * at once in the edge's next state: so the table answers violations as well,
 * and shows every way from one state to another. */
#pragma once
#include "dataplane/session/mqtt.h"

#include "dataplane/base/assert.h"

enum mqtt_event {
	/* A packet is here; before CONNECT: its first byte is. */
	MQTT_ON_CONNECT,
	MQTT_ON_PUBLISH,
	MQTT_ON_SUBSCRIBE,
	MQTT_ON_UNSUBSCRIBE,
	MQTT_ON_ACK, /* PUBACK, PUBREC, PUBREL, PUBCOMP */
	MQTT_ON_PINGREQ,
	MQTT_ON_DISCONNECT,
	MQTT_ON_FOREIGN,   /* packets that only a server sends; AUTH without a method */
	MQTT_ON_MALFORMED, /* bytes that no packet starts with */
	MQTT_ON_PAYLOAD,   /* bytes of the payload announced by the last PUBLISH */
	/* Answers and news from the world. */
	MQTT_ON_GRANT,
	MQTT_ON_REFUSAL,
	MQTT_ON_ANSWER,  /* to one filter */
	MQTT_ON_TIMEOUT, /* the time that this state allows is over */
	MQTT_ON_RETRY,   /* the timer of a session that waits for room */
	MQTT_ON_REVOKE,
	MQTT_ON_DELIVER,
	MQTT_ON_RESUME,    /* an entry that needs its PUBREL */
	MQTT_ON_PUBLISHED, /* to a publish of QoS 1 or 2 */
	MQTT_ON_RELEASED,  /* to a PUBREL */
	MQTT_ON_RECEIVED,  /* to a PUBREC */
	MQTT_ON_ROOM,      /* in the send queue */
	MQTT_ON_GONE,      /* the connection is */
	/* Named by actions. */
	MQTT_ON_VIOLATION, /* the packet broke a rule */
	MQTT_ON_STUCK,     /* an answer found no room in the send queue for too long */
	MQTT_ON_GOODBYE,   /* a DISCONNECT in order */
	MQTT_ON_WILL,      /* the conversation is over and the will is due */
	MQTT_EVENTS,
	MQTT_ON_NOTHING
};

/* What an event brings along and what its action leaves behind. */
struct mqtt_cause {
	uint64_t now_us;
	enum err err;                   /* REFUSAL, ANSWER, REVOKE, VIOLATION, MALFORMED: why */
	const struct mqtt_frame *frame; /* packets, once LIVE; CONNECT */
	struct span in;                 /* PAYLOAD: its bytes; MALFORMED: the unread bytes */
	size_t used;                    /* PAYLOAD: how many were taken */
	bool parked;                    /* no room now: offer the same again later */
	bool declined;                  /* DELIVER, RESUME: no room, nothing was taken */
	const struct session_grant *grant;
	uint32_t token;     /* ANSWER */
	uint16_t packet_id; /* acknowledgements, PUBLISHED, RELEASED */
	uint64_t entry;     /* RESUME, RECEIVED */
	struct message *message;
	const struct delivery *delivery;
};

typedef enum mqtt_event mqtt_action(struct mqtt_session *s, struct mqtt_cause *c);

/* mqtt.c: the table, the step, the input loop, the timer */
void mqtt_step(struct mqtt_session *s, enum mqtt_event e, struct mqtt_cause *c);
void mqtt_arm(struct mqtt_session *s, uint64_t now_us); /* the timer, for what is due next */
bool mqtt_has_edge(enum mqtt_state state, enum mqtt_event e);
/* Starts or goes on waiting for room. False: it has taken too long. */
MUST_USE bool mqtt_park(struct mqtt_session *s, struct mqtt_cause *c);
void mqtt_unpark(struct mqtt_session *s, uint64_t now_us);
/* Nothing is sent after it. Names what follows: a will that the session still holds is due. */
MUST_USE enum mqtt_event mqtt_finish(struct mqtt_session *s, enum err why);

/* mqtt_connect.c: CONNECT, grant, refusal, the will, DISCONNECT */
mqtt_action mqtt_ask, mqtt_misread_connect, mqtt_welcome, mqtt_renew, mqtt_refuse;
mqtt_action mqtt_take_disconnect, mqtt_publish_will;
void mqtt_drop_will(struct mqtt_session *s);

/* mqtt_subscribe.c: SUBSCRIBE and UNSUBSCRIBE */
mqtt_action mqtt_take_subscribe, mqtt_take_unsubscribe, mqtt_take_answer, mqtt_retry_answer;
void mqtt_drop_pending(struct mqtt_session *s);

/* mqtt_answer.c: errors to reason codes; packets towards the peer */
bool mqtt_is_v5(const struct mqtt_session *s);
enum mqtt_version mqtt_wire(const struct mqtt_session *s); /* as the codec wants it */
void mqtt_set(struct mqtt_props *p, enum mqtt_property id);
bool mqtt_starts_with(struct span s, const char *prefix);
struct writer mqtt_scratch(const struct mqtt_session *s);
uint8_t mqtt_filter_code(const struct mqtt_session *s, enum mqtt_type packet, enum err e);
uint8_t mqtt_publish_code(enum err e); /* PUBACK, PUBREC */
/* All or nothing; ERR_SEND_QUEUE_FULL, or the packet is larger than the peer takes. */
MUST_USE enum err mqtt_send(struct mqtt_session *s, const struct writer *w);
/* Sends an answer, or parks until there is room for it. */
MUST_USE enum mqtt_event mqtt_reply(
	struct mqtt_session *s, struct mqtt_cause *c, const struct writer *w);
void mqtt_send_refusal(struct mqtt_session *s, enum err why);
void mqtt_send_disconnect(struct mqtt_session *s, enum err why);
