/* client.h - MQTT connections on the other end of the wire.
 *
 * One client is one client id and at most one connection at a time. It speaks
 * packets and keeps no session; what a well-behaved client remembers over
 * several connections: device.h. Spans in events die with the call. */
#pragma once
#include "dataplane/codec/mqtt.h"
#include "tests/sim/world.h"

struct client;

struct client_events {
	void (*connected)(void *owner, struct client *c); /* CONNACK was good */
	void (*subscribed)(void *owner, struct client *c);
	/* A piece of a message; `whole` with its last piece. */
	void (*message)(
		void *owner, struct client *c, struct span topic, struct span piece, bool whole);
	void (*closed)(void *owner, struct client *c);
	/* The packets as they are: CONNACK, SUBACK, PUBACK..., the head of a PUBLISH. */
	void (*packet)(void *owner, struct client *c, const struct mqtt_frame *f);
	void *owner;
};

/* What its CONNECT says. Strings and payload are lent until client_connect returns or later. */
struct client_greeting {
	enum mqtt_version version;
	bool clean_start;
	uint32_t session_expiry_s; /* 5.0 */
	uint16_t receive_max;      /* 5.0; 0: not said */
	uint32_t packet_size_max;  /* 5.0; 0: not said */
	const char *will_topic;    /* NULL: no will */
	struct span will_payload;
	uint8_t will_qos;
	bool will_retain;
	uint32_t will_delay_s; /* 5.0 */
};

/* 3.1.1 and clean, until client_greet says otherwise. */
struct client *client_new(struct world *w, const char *id, const struct client_events *events);
void client_greet(struct client *c, const struct client_greeting *g);
void client_connect(struct client *c); /* it must have none */
void client_subscribe(struct client *c, const char *filter);
void client_subscribe_qos(struct client *c, const char *filter, uint8_t qos);
/* False: no room in its send queue now. */
bool client_publish(struct client *c, const char *topic, struct span payload);
/* A PUBLISH in pieces: the header now, payload_size bytes by client_write. */
bool client_publish_header(struct client *c, const char *topic, uint32_t payload_size);
bool client_write(struct client *c, struct span bytes); /* all or nothing */
size_t client_room(const struct client *c);             /* 0: not connected */
bool client_live(const struct client *c); /* CONNACK was good and the connection stands */
bool client_gone(const struct client *c); /* no connection at all */
void client_close(struct client *c);      /* FIN */
void client_abort(struct client *c);
enum err client_why(const struct client *c); /* it was closed; ERR_NONE: in order */
