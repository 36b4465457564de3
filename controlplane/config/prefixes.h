/* prefixes.h - lists of IPv4 prefixes as text: "192.0.2.0/24,10.0.0.1", or "none". Pure. */
#pragma once
#include "dataplane/base/err.h"
#include "dataplane/base/prefix.h"

#include <stddef.h>

enum { PREFIXES_TEXT_MAX = 160 }; /* printed, the longest list */

/* ERR_CONFIG: *why says which one cannot be. */
MUST_USE enum err prefixes_parse(
	const char *text, struct prefixes *out, char *why, size_t why_size);
void prefixes_print(const struct prefixes *p, char *out, size_t size);
