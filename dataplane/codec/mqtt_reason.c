/* mqtt_reason.c - which reason code may stand in which packet.
 *
 * Spec: MQTT 5.0 table 2-6, 3.1.1 tables 3.1 and 3.9.3. Who may send which, client or server, is
 * the session's to judge. */
#include "dataplane/codec/mqtt_wire.h"

#include "dataplane/base/attr.h"

#define IN(packet) (1u << MQTT_##packet)

enum {
	PUBACK_PUBREC = IN(PUBACK) | IN(PUBREC),
	PUBREL_PUBCOMP = IN(PUBREL) | IN(PUBCOMP),
	SUBACKS = IN(SUBACK) | IN(UNSUBACK),
	CONNACK_DISCONNECT = IN(CONNACK) | IN(DISCONNECT),
	CONNACK_RETURN_CODE_MAX = 5, /* 3.1.1 table 3.1 */
};

static const uint16_t packets_of[256] = {
	[0x00] = CONNACK_DISCONNECT | PUBACK_PUBREC | PUBREL_PUBCOMP | SUBACKS | IN(AUTH),
	[0x01] = IN(SUBACK),                                      /* granted QoS 1 */
	[0x02] = IN(SUBACK),                                      /* granted QoS 2 */
	[0x04] = IN(DISCONNECT),                                  /* with will message */
	[0x10] = PUBACK_PUBREC,                                   /* no matching subscribers */
	[0x11] = IN(UNSUBACK),                                    /* no subscription existed */
	[0x18] = IN(AUTH),                                        /* continue authentication */
	[0x19] = IN(AUTH),                                        /* re-authenticate */
	[0x80] = CONNACK_DISCONNECT | PUBACK_PUBREC | SUBACKS,    /* unspecified error */
	[0x81] = CONNACK_DISCONNECT,                              /* malformed packet */
	[0x82] = CONNACK_DISCONNECT,                              /* protocol error */
	[0x83] = CONNACK_DISCONNECT | PUBACK_PUBREC | SUBACKS,    /* implementation specific */
	[0x84] = IN(CONNACK),                                     /* unsupported version */
	[0x85] = IN(CONNACK),                                     /* client id not valid */
	[0x86] = IN(CONNACK),                                     /* bad user name or password */
	[0x87] = CONNACK_DISCONNECT | PUBACK_PUBREC | SUBACKS,    /* not authorized */
	[0x88] = IN(CONNACK),                                     /* server unavailable */
	[0x89] = CONNACK_DISCONNECT,                              /* server busy */
	[0x8a] = IN(CONNACK),                                     /* banned */
	[0x8b] = IN(DISCONNECT),                                  /* server shutting down */
	[0x8c] = CONNACK_DISCONNECT,                              /* bad authentication method */
	[0x8d] = IN(DISCONNECT),                                  /* keep alive timeout */
	[0x8e] = IN(DISCONNECT),                                  /* session taken over */
	[0x8f] = IN(DISCONNECT) | SUBACKS,                        /* topic filter invalid */
	[0x90] = CONNACK_DISCONNECT | PUBACK_PUBREC,              /* topic name invalid */
	[0x91] = PUBACK_PUBREC | SUBACKS,                         /* packet id in use */
	[0x92] = PUBREL_PUBCOMP,                                  /* packet id not found */
	[0x93] = IN(DISCONNECT),                                  /* receive maximum exceeded */
	[0x94] = IN(DISCONNECT),                                  /* topic alias invalid */
	[0x95] = CONNACK_DISCONNECT,                              /* packet too large */
	[0x96] = IN(DISCONNECT),                                  /* message rate too high */
	[0x97] = CONNACK_DISCONNECT | PUBACK_PUBREC | IN(SUBACK), /* quota exceeded */
	[0x98] = IN(DISCONNECT),                                  /* administrative action */
	[0x99] = CONNACK_DISCONNECT | PUBACK_PUBREC,              /* payload format invalid */
	[0x9a] = CONNACK_DISCONNECT,                              /* retain not supported */
	[0x9b] = CONNACK_DISCONNECT,                              /* QoS not supported */
	[0x9c] = CONNACK_DISCONNECT,                              /* use another server */
	[0x9d] = CONNACK_DISCONNECT,                              /* server moved */
	[0x9e] = IN(DISCONNECT) | IN(SUBACK),                     /* no shared subscriptions */
	[0x9f] = CONNACK_DISCONNECT,                              /* connection rate exceeded */
	[0xa0] = IN(DISCONNECT),                                  /* maximum connect time */
	[0xa1] = IN(DISCONNECT) | IN(SUBACK),                     /* no subscription ids */
	[0xa2] = IN(DISCONNECT) | IN(SUBACK),                     /* no wildcard subscriptions */
};

bool mqtt_reason_allowed(enum mqtt_type t, enum mqtt_version v, uint8_t reason)
{
	if (v == MQTT_V5)
		return (packets_of[reason] >> t & 1) != 0;
	if (t == MQTT_CONNACK)
		return reason <= CONNACK_RETURN_CODE_MAX;
	return reason <= 2 || reason == 0x80; /* SUBACK, [MQTT-3.9.3-2] */
}
