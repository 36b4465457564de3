/* verbs.h - the fabric's verbs, as protocol sessions speak them.
 *
 * Every protocol is turned into four verbs: publish (to all who match now),
 * queue (wait until one has acknowledged), call (one request, its answers) and
 * sync (a document with a version). Publish and subscribe are here; the others
 * join this table when their engines exist. A session holds a `struct verbs` and its owner and
 * never knows who carries them out: the worker, or a test that records. What
 * is durable is answered when it is on the disk: docs/durability.md.
 *
 * Answers to subscribe and unsubscribe may come at once or later, by
 * on_subscribed with the caller's token: a filter works on every worker before
 * its answer is given. */
#pragma once
#include "dataplane/fabric/message.h"

struct subscription_options {
	uint8_t qos_max;          /* 0-2 */
	bool no_local;            /* not to the connection that published */
	bool retain_as_published; /* pass the publisher's retain flag on */
	uint8_t retain_handling;  /* 0-2, MQTT 5.0 3.8.3.1 */
	uint32_t identifier;      /* MQTT subscription identifier; 0: none */
};

/* What a publisher is owed for its message. QoS 0: nothing. */
struct publish_order {
	uint8_t qos;
	uint16_t packet_id; /* QoS 1 and 2: comes back in on_published */
};

enum published {
	PUBLISHED_DONE,    /* taken, and all that an acknowledgement promises holds */
	PUBLISHED_LATER,   /* taken; on_published(packet_id) answers, in order of publishing */
	PUBLISHED_NO_ROOM, /* not taken: park, and offer the same again */
	PUBLISHED_REFUSED, /* not taken, and waiting is no use: ERR_RETAINED_FULL */
};

struct verbs {
	/* Starts a message with the store of this worker; NULL: no room now. */
	struct message *(*message_begin)(void *owner, struct span topic,
		const struct message_props *props, uint32_t payload_size);
	/* Publishes a whole message; *matched (DONE) says whether anybody got it. */
	enum published (*publish)(
		void *owner, struct message **m, const struct publish_order *o, bool *matched);
	/* Answered by token: ERR_NONE, or why not. An equal filter replaces the old options. */
	void (*subscribe)(void *owner, uint32_t token, struct span filter,
		const struct subscription_options *options);
	void (*unsubscribe)(void *owner, uint32_t token, struct span filter);
};
