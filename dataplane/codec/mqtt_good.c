/* mqtt_good.c - the well-formed packets of mqtt_vectors.h. */
#include "dataplane/codec/mqtt_vectors.h"

#include "dataplane/base/attr.h"

const struct mqtt_good mqtt_good[] = {
	{"CONNECT 3.1", MQTT_V3, true, "10 11 00 06 'MQIsdp' 03 02 00 3c 00 03 'dev'"},
	{"CONNECT 3.1, will and credentials", MQTT_V3, true,
		"10 21 00 06 'MQIsdp' 03 ee 00 00 00 03 'dev' 00 03 'w/t' 00 03 'bye' 00 "
		"01 'u' 00 01 'p'"},
	{"CONNECT 3.1, announced credentials left out", MQTT_V3, false,
		"10 11 00 06 'MQIsdp' 03 c2 00 3c 00 03 'dev'"},
	{"CONNECT 3.1, announced password left out", MQTT_V3, false,
		"10 14 00 06 'MQIsdp' 03 c2 00 3c 00 03 'dev' 00 01 'u'"},
	{"CONNECT 3.1.1", MQTT_V4, true, "10 0f 00 04 'MQTT' 04 02 00 3c 00 03 'dev'"},
	{"CONNECT 3.1.1, no client id", MQTT_V4, true, "10 0c 00 04 'MQTT' 04 02 00 00 00 00"},
	{"CONNECT 3.1.1, everything", MQTT_V4, true,
		"10 23 00 04 'MQTT' 04 f6 ff ff 00 03 'dev' 00 03 'w/t' 00 03 00 ff 80 00 "
		"04 'user' 00 02 00 01"},
	{"CONNECT 3.1.1, user name alone, empty will", MQTT_V4, true,
		"10 17 00 04 'MQTT' 04 84 00 0a 00 03 'dev' 00 01 'w' 00 00 00 01 'u'"},
	{"CONNECT 5.0", MQTT_V5, true, "10 10 00 04 'MQTT' 05 02 00 3c 00 00 03 'dev'"},
	{"CONNECT 5.0, password alone", MQTT_V5, true,
		"10 14 00 04 'MQTT' 05 42 00 3c 00 00 03 'dev' 00 02 fe ff"},
	{"CONNECT 5.0, every property", MQTT_V5, true,
		"10 70 00 04 'MQTT' 05 ee 00 3c 2b 11 00 00 00 0a 15 00 01 'm' 16 00 02 "
		"'dd' 17 00 19 01 21 00 14 22 00 05 26 00 01 'k' 00 01 'v' 26 00 01 'k' "
		"00 01 'w' 27 00 01 00 00 00 03 'dev' 24 01 01 02 00 00 00 3c 03 00 03 "
		"'t/p' 08 00 03 'r/t' 09 00 02 01 02 18 00 00 00 05 26 00 01 'a' 00 01 "
		"'b' 00 03 'w/t' 00 03 'bye' 00 01 'u' 00 01 'p'"},
	{"CONNECT 5.0, U+FEFF in a string", MQTT_V5, true,
		"10 13 00 04 'MQTT' 05 02 00 3c 00 00 06 ef bb bf 'dev'"},
	{"CONNACK 3.1.1, accepted", MQTT_V4, true, "20 02 00 00"},
	{"CONNACK 3.1.1, session present", MQTT_V4, true, "20 02 01 00"},
	{"CONNACK 3.1.1, refused", MQTT_V4, true, "20 02 00 05"},
	{"CONNACK 3.1, refused", MQTT_V3, true, "20 02 00 01"},
	{"CONNACK 5.0", MQTT_V5, true, "20 03 00 00 00"},
	{"CONNACK 5.0, refused", MQTT_V5, true, "20 03 00 84 00"},
	{"CONNACK 5.0, every property", MQTT_V5, true,
		"20 47 01 00 44 11 ff ff ff ff 12 00 02 'id' 13 00 3c 15 00 01 'm' 16 00 "
		"01 00 1a 00 02 'ri' 1c 00 05 'other' 1f 00 03 'why' 21 00 01 22 ff ff 24 "
		"00 25 00 26 00 01 'k' 00 01 'v' 27 00 00 00 01 28 00 29 00 2a 00"},
	{"PUBLISH 3.1.1, QoS 0, no payload", MQTT_V4, true, "30 05 00 03 'a/b'"},
	{"PUBLISH 3.1.1, QoS 0", MQTT_V4, true, "30 0a 00 03 'a/b' 'hello'"},
	{"PUBLISH 3.1, QoS 1", MQTT_V3, true, "32 0c 00 03 'a/b' 00 0a 'hello'"},
	{"PUBLISH 3.1.1, QoS 1, retained, again", MQTT_V4, true, "3b 0c 00 03 'a/b' 00 0a 'hello'"},
	{"PUBLISH 3.1.1, QoS 2", MQTT_V4, true, "34 0c 00 03 'a/b' ff ff 'hello'"},
	{"PUBLISH 3.1.1, a topic that is not ASCII", MQTT_V4, true,
		"30 12 00 0f 'caf' c3 a9 '/sensors/x' 00"},
	{"PUBLISH 3.1.1, 200 bytes", MQTT_V4, true,
		"30 c8 01 00 01 'a' "
		"'ppppppppppppppppppppppppppppppppppppppppppppppppppppppppppp' "
		"'ppppppppppppppppppppppppppppppppppppppppppppppppppppppppppp' "
		"'ppppppppppppppppppppppppppppppppppppppppppppppppppppppppppp' "
		"'pppppppppppppppppppp'"},
	{"PUBLISH 3.1.1, a topic of 140 bytes", MQTT_V4, true,
		"30 93 01 00 8c "
		"'ttttttttttttttttttttttttttttttttttttttttttttttttttttttttttt' "
		"'ttttttttttttttttttttttttttttttttttttttttttttttttttttttttttt' "
		"'tttttttttttttttttttttt' 'hello'"},
	{"PUBLISH 5.0, QoS 0", MQTT_V5, true, "30 0b 00 03 'a/b' 00 'hello'"},
	{"PUBLISH 5.0, QoS 2, no payload", MQTT_V5, true, "35 08 00 03 'a/b' 00 01 00"},
	{"PUBLISH 5.0, alias instead of topic", MQTT_V5, true, "30 0b 00 00 03 23 00 01 'hello'"},
	{"PUBLISH 5.0, every property", MQTT_V5, true,
		"3c 3a 00 03 'a/b' 00 01 2d 01 01 02 00 00 00 00 03 00 03 't/p' 08 00 03 "
		"'r/t' 09 00 01 00 0b 01 0b ff ff ff 7f 23 00 07 26 00 01 'k' 00 01 'v' "
		"26 00 00 00 00 'hello'"},
	{"PUBLISH 5.0, a property length of two bytes", MQTT_V5, true,
		"30 8f 01 00 01 'a' 85 01 09 00 82 "
		"'ccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc' "
		"'ccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc' "
		"'cccccccccccc' 'hello'"},
	{"PUBLISH 5.0, longer integers than needed", MQTT_V5, false,
		"30 12 00 01 'a' 87 80 00 8b 80 00 81 80 80 00 'hello'"},
	{"PUBACK 3.1.1", MQTT_V4, true, "40 02 00 01"},
	{"PUBREC 3.1.1", MQTT_V4, true, "50 02 00 01"},
	{"PUBREL 3.1.1", MQTT_V4, true, "62 02 00 01"},
	{"PUBREL 3.1, again", MQTT_V3, false, "6a 02 00 01"},
	{"PUBCOMP 3.1.1", MQTT_V4, true, "70 02 00 01"},
	{"PUBACK 5.0, short", MQTT_V5, true, "40 02 00 01"},
	{"PUBACK 5.0, reason", MQTT_V5, true, "40 03 00 01 10"},
	{"PUBACK 5.0, reason of success spelled out", MQTT_V5, false, "40 03 00 01 00"},
	{"PUBACK 5.0, empty properties spelled out", MQTT_V5, false, "40 04 00 01 87 00"},
	{"PUBACK 5.0, properties", MQTT_V5, true,
		"40 11 00 01 00 0d 1f 00 03 'why' 26 00 01 'k' 00 01 'v'"},
	{"PUBREC 5.0, properties", MQTT_V5, true,
		"50 11 00 01 97 0d 1f 00 03 'why' 26 00 01 'k' 00 01 'v'"},
	{"PUBREL 5.0, properties", MQTT_V5, true,
		"62 11 00 01 92 0d 1f 00 03 'why' 26 00 01 'k' 00 01 'v'"},
	{"PUBCOMP 5.0, properties", MQTT_V5, true,
		"70 11 00 01 92 0d 1f 00 03 'why' 26 00 01 'k' 00 01 'v'"},
	{"SUBSCRIBE 3.1.1", MQTT_V4, true,
		"82 12 00 01 00 03 'a/b' 00 00 01 '#' 01 00 03 '+/x' 02"},
	{"SUBSCRIBE 3.1, again", MQTT_V3, false, "8a 08 00 01 00 03 'a/b' 00"},
	{"SUBSCRIBE 5.0", MQTT_V5, true, "82 09 00 01 00 00 03 'a/b' 00"},
	{"SUBSCRIBE 5.0, every option and property", MQTT_V5, true,
		"82 26 00 01 0c 0b 80 80 80 01 26 00 01 'k' 00 01 'v' 00 03 'a/b' 2e 00 "
		"0a '$share/g/t' 19 00 01 'c' 01"},
	{"SUBACK 3.1.1", MQTT_V4, true, "90 06 00 01 00 01 02 80"},
	{"SUBACK 5.0", MQTT_V5, true,
		"90 15 00 01 0d 1f 00 03 'why' 26 00 01 'k' 00 01 'v' 00 01 02 87 a2"},
	{"UNSUBSCRIBE 3.1.1", MQTT_V4, true, "a2 0a 00 01 00 03 'a/b' 00 01 '#'"},
	{"UNSUBSCRIBE 3.1, again", MQTT_V3, false, "aa 07 00 01 00 03 'a/b'"},
	{"UNSUBSCRIBE 5.0", MQTT_V5, true, "a2 0f 00 01 07 26 00 01 'k' 00 01 'v' 00 03 'a/b'"},
	{"UNSUBACK 3.1.1", MQTT_V4, true, "b0 02 00 01"},
	{"UNSUBACK 5.0", MQTT_V5, true,
		"b0 12 00 01 0d 1f 00 03 'why' 26 00 01 'k' 00 01 'v' 00 11"},
	{"PINGREQ", MQTT_V4, true, "c0 00"},
	{"PINGRESP", MQTT_V5, true, "d0 00"},
	{"DISCONNECT 3.1.1", MQTT_V4, true, "e0 00"},
	{"DISCONNECT 5.0, short", MQTT_V5, true, "e0 00"},
	{"DISCONNECT 5.0, reason", MQTT_V5, true, "e0 01 04"},
	{"DISCONNECT 5.0, success spelled out", MQTT_V5, false, "e0 01 00"},
	{"DISCONNECT 5.0, properties", MQTT_V5, true,
		"e0 1c 00 1a 11 00 00 00 00 1c 00 05 'other' 1f 00 03 'why' 26 00 01 'k' "
		"00 01 'v'"},
	{"AUTH, short", MQTT_V5, true, "f0 00"},
	{"AUTH, properties", MQTT_V5, true,
		"f0 18 18 16 15 00 01 'm' 16 00 02 00 01 1f 00 03 'why' 26 00 01 'k' 00 "
		"01 'v'"},
};

const size_t mqtt_good_count = ARRAY_SIZE(mqtt_good);
