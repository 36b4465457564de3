/* keys.h - one key at a time: set from text, got as a number. For the parser and its checks. */
#pragma once
#include "controlplane/config/config.h"

/* ERR_CONFIG: *why says what is wrong and what is allowed. */
MUST_USE enum err config_set(const struct config_key *key, const char *text, struct shm_config *c,
	char *why, size_t why_size);
/* COUNT, SIZE, DURATION in base units, SECONDS in seconds. */
uint64_t config_get(const struct config_key *key, const struct shm_config *c);
