/* event_id.c - see event_id.h. */
#include "mgmt/http/event_id.h"

#include <inttypes.h>
#include <stdio.h>

void event_id_write(uint64_t epoch, uint64_t sample, char to[EVENT_ID_MAX])
{
	snprintf(to, EVENT_ID_MAX, "%" PRIu64 "-%" PRIu64, epoch, sample);
}

/* Digits only, no sign, no overflow; NULL if there are none. */
static const char *read_number(const char *at, uint64_t *out)
{
	const char *start = at;
	uint64_t v = 0;

	for (; *at >= '0' && *at <= '9'; at++) {
		const uint64_t digit = (uint64_t)(*at - '0');
		if (v > (UINT64_MAX - digit) / 10)
			return NULL;
		v = v * 10 + digit;
	}
	*out = v;
	return at == start ? NULL : at;
}

bool event_id_read(const char *text, uint64_t *epoch, uint64_t *sample)
{
	const char *at = text == NULL ? NULL : read_number(text, epoch);

	if (at == NULL || *at != '-')
		return false;
	at = read_number(at + 1, sample);
	return at != NULL && *at == '\0';
}
