/* tcp_facts.c - see tcp_facts.h. */
#include "dataplane/base/tcp_facts.h"

#include <string.h>

/* In the order of enum tcp_state, by the names of RFC 9293 3.3.2. */
static const char *const states[TCP_STATES] = {"FREE", "CLOSED", "SYN-SENT", "SYN-RECEIVED",
	"ESTABLISHED", "FIN-WAIT-1", "FIN-WAIT-2", "CLOSE-WAIT", "CLOSING", "LAST-ACK",
	"TIME-WAIT"};

const char *tcp_state_name(unsigned state)
{
	return state < TCP_STATES ? states[state] : NULL;
}

uint32_t tcp_state_named(const char *name)
{
	for (uint32_t s = 0; s < TCP_STATES; s++)
		if (strcmp(states[s], name) == 0)
			return s;
	return UINT32_MAX;
}

static const struct {
	const char *name, *argument, *text;
} rows[TCP_WHATS] = {
#define TCP_EVENT(name, argument, text) {#name, argument, text},
#include "dataplane/base/tcp_events.def"
#undef TCP_EVENT
};

const char *tcp_what_name(unsigned what)
{
	return what < TCP_WHATS ? rows[what].name : NULL;
}

const char *tcp_what_text(unsigned what)
{
	return what < TCP_WHATS ? rows[what].text : NULL;
}

const char *tcp_what_argument(unsigned what)
{
	return what < TCP_WHATS ? rows[what].argument : NULL;
}
