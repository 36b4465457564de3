/* mqtt_talk.h - conversations with an MQTT session as text, for tests.
 *
 * One step a line; what the session does in answer must be expected, line by
 * line and in order, before the talk ends:
 *
 *	in BYTES            the client sends; whatever is parked waits in front
 *	grant [id=X] [present] [kept] [durable] | refuse WHY | receivedid ID
 *	answer N [ERR]      to the Nth filter asked for, counted from 0 since the start
 *	published ID [ERR], released ID [ERR], received ENTRY, writable
 *	deliver TOPIC =PAYLOAD [retain] [retained] [dup] [entry=N] [qos=N] [from=N] [id=N]
 *	        [expiry=N] [age=N] [utf8] [type=] [reply=] [corr=]; from: the publisher's QoS
 *	resume ENTRY | declined    the delivery before was not taken; else it must be
 *	revoke ERR | wait MS | close
 *	room N              so many bytes fit the send queue; "room all"
 *	nobegin N, noappend N, nopublish N, norequest, nobody, full, self [QOS], later [off]
 *	                    what the world does from now on
 *	pools KEY=N.., limits KEY=N..      first of all
 *	skip                what happened so far was not the point
 *	out BYTES           expected: a packet to the client
 *	request, publish, subscribe, unsubscribe, release, settle, receive, takes more, farewell,
 *	finish ERR          expected: mqtt_fake.h
 *	state OPENING|ASKED|LIVE|CLOSING, count COUNTER N    expected now
 *
 * BYTES are hex digits in pairs; 'text' as it stands; <text> with two bytes of
 * length before it; {BYTES} with their number before it as a variable byte
 * integer; N*(BYTES) repeated. Each talk is held three times: input in one
 * piece, byte by byte, and cut in the middle; each must have the same effects. */
#pragma once
#include "tests/unit/mqtt_fake.h"

/* Holds the talk; a difference is a failed CUnit assertion and a line on stderr. */
void mqtt_talk(const char *name, const char *script);
