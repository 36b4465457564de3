/* event_id.h - the ids of the event stream: "EPOCH-SAMPLE", both decimal.
 *
 * A browser that lost its stream sends the last one back (Last-Event-ID, HTML
 * 9.2.4). It is the peer's word: anything else than our own form is no id. */
#pragma once
#include "dataplane/base/attr.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { EVENT_ID_MAX = 42 }; /* two numbers of 20 digits, a dash, NUL */

void event_id_write(uint64_t epoch, uint64_t sample, char to[EVENT_ID_MAX]);
/* text may be NULL. */
MUST_USE bool event_id_read(const char *text, uint64_t *epoch, uint64_t *sample);
