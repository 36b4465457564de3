/* mqtt.h - the MQTT session's state machine: one per connection.
 *
 * OPENING --CONNECT--> ASKED --grant--> LIVE --> CLOSING --> CLOSED
 *
 * Frames and time in, verbs out (session.h). One `step` and one table; every
 * event that a peer can cause has an edge that answers it with the reason code
 * that the specification names. QoS 0, 1 and 2 both ways.
 *
 * What comes from other processes (on_X, deliver, resume) may come at any time
 * before close and for anything: what the session does not know changes nothing.
 *
 * Spec: MQTT 5.0 parts 3 and 4, 3.1.1. Memory: the caller's, and pools of the
 * worker (mqtt_memory.h). Not here: bytes to frames (codec/mqtt.h), matching,
 * TCP, what outlives the connection. */
#pragma once
#include "dataplane/session/mqtt_session.h"

void mqtt_session_open(struct mqtt_session *s, const struct session_ops *ops, void *owner,
	const struct mqtt_session_conf *conf, uint64_t now_us);
MUST_USE struct session_used mqtt_session_input(
	struct mqtt_session *s, struct span in, uint64_t now_us);

/* Before the grant: QoS 2 of the publisher, received over an earlier connection, not released. */
void mqtt_session_on_received_id(struct mqtt_session *s, uint16_t packet_id);
void mqtt_session_on_grant(
	struct mqtt_session *s, const struct session_grant *grant, uint64_t now_us);
void mqtt_session_on_subscribed(
	struct mqtt_session *s, uint32_t token, enum err e, uint64_t now_us);
/* After publish said LATER: it is durable, or why it was refused. */
void mqtt_session_on_published(
	struct mqtt_session *s, uint16_t packet_id, enum err e, uint64_t now_us);
/* After release said false. An error ends the connection. */
void mqtt_session_on_released(
	struct mqtt_session *s, uint16_t packet_id, enum err e, uint64_t now_us);
/* After receive: the entry's PUBREC is written down. */
void mqtt_session_on_received(struct mqtt_session *s, uint64_t entry, uint64_t now_us);
/* The send queue was full and has room again (a send had answered false). */
void mqtt_session_on_writable(struct mqtt_session *s, uint64_t now_us);
void mqtt_session_on_timer(struct mqtt_session *s, uint64_t now_us);
/* Another connection took the session over, or the box stops: say so (v5) and finish. */
void mqtt_session_on_revoke(struct mqtt_session *s, enum err why, uint64_t now_us);

/* A message for this client. Never blocks. True: it is sent, waits here, or was dropped and counted
 * (a dropped entry is settled). False, only for entries and retained values: no room, nothing was
 * taken; offer it again after ops->room. May be called from inside verbs.publish when a publisher
 * subscribes to its own topic. */
MUST_USE bool mqtt_session_deliver(
	struct mqtt_session *s, struct message *m, const struct delivery *d, uint64_t now_us);
/* An entry whose PUBREC came over an earlier connection: sends PUBREL. False: as above. */
MUST_USE bool mqtt_session_resume(struct mqtt_session *s, uint64_t entry, uint64_t now_us);

/* The connection is gone, for whatever reason: publishes the will if it is due, and gives back what
 * the session holds. The last call. */
void mqtt_session_close(struct mqtt_session *s, uint64_t now_us);
void mqtt_session_check(const struct mqtt_session *s);
