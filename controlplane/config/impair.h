/* impair.h - network impairments as text: "loss=5%,delay=20ms,seed=7", or "off".
 *
 * The same words as --impair of the dataplane. For the configuration file and
 * for signalbox-ctl. Pure. */
#pragma once
#include "dataplane/base/err.h"
#include "dataplane/shm/config.h"

enum { IMPAIR_TEXT_MAX = 160, IMPAIR_DELAY_MAX_US = 60000000 };

/* ERR_CONFIG: *why says which word cannot be, and what can. */
MUST_USE enum err impair_parse(
	const char *text, struct shm_impair *out, char *why, size_t why_size);
void impair_print(const struct shm_impair *impair, char *out, size_t size);
