/* mqtt_session_test.c - conversations with an MQTT session, one test each.
 *
 * The conversations are in mqtt_talks_*.def, their language is explained in
 * mqtt_talk.h. Not here: timers by the microsecond, random walks
 * (mqtt_machine_test.c). */
#include "tests/unit/mqtt_talk.h"
#include "tests/unit/unit.h"

/* A session with nothing behind it; the 5.0 one wants no reason strings. */
#define LIVE4 "in 10 {<MQTT> 04 02 003c <c>}\ngrant\nskip\n"
#define LIVE5 "in 10 {<MQTT> 05 02 003c {17 00} <c>}\ngrant\nskip\n"
/* The same with a session that survives. */
#define DURABLE4 "in 10 {<MQTT> 04 00 003c <c>}\ngrant durable\nskip\n"
#define DURABLE5 "in 10 {<MQTT> 05 00 003c {11 0000000a 17 00} <c>}\ngrant durable\nskip\n"

#define TALK(name, script)                                                                         \
	static void name(void)                                                                     \
	{                                                                                          \
		mqtt_talk(#name, script);                                                          \
	}
#include "dataplane/session/mqtt_talks_ack.def"
#include "dataplane/session/mqtt_talks_alias.def"
#include "dataplane/session/mqtt_talks_connect.def"
#include "dataplane/session/mqtt_talks_deliver.def"
#include "dataplane/session/mqtt_talks_durable.def"
#include "dataplane/session/mqtt_talks_end.def"
#include "dataplane/session/mqtt_talks_kept.def"
#include "dataplane/session/mqtt_talks_publish.def"
#include "dataplane/session/mqtt_talks_subscribe.def"
#undef TALK

static const struct unit_test tests[] = {
#define TALK(name, script) {#name, name},
#include "dataplane/session/mqtt_talks_ack.def"
#include "dataplane/session/mqtt_talks_alias.def"
#include "dataplane/session/mqtt_talks_connect.def"
#include "dataplane/session/mqtt_talks_deliver.def"
#include "dataplane/session/mqtt_talks_durable.def"
#include "dataplane/session/mqtt_talks_end.def"
#include "dataplane/session/mqtt_talks_kept.def"
#include "dataplane/session/mqtt_talks_publish.def"
#include "dataplane/session/mqtt_talks_subscribe.def"
#undef TALK
};

int main(int argc, char **argv)
{
	return UNIT_MAIN("mqtt_session", tests, argc, argv);
}
