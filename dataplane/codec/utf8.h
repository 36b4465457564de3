/* utf8.h - is a string well-formed UTF-8 as MQTT 1.5.4 and RFC 3629 ask? */
#pragma once
#include "dataplane/base/span.h"

/* No surrogates, no overlong forms, nothing above U+10FFFF. NUL is judged by `nul_ok`. */
bool utf8_valid(struct span s, bool nul_ok);
