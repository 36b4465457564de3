/* text.h - is it text, is it a topic? Our own judgement of bytes that the dataplane has judged
 * before: it is not believed. UTF-8 by RFC 3629 section 4. Pure. */
#pragma once
#include "dataplane/base/attr.h"
#include "dataplane/base/span.h"

enum { TEXT_MAX = 65535 }; /* MQTT 5.0 1.5.4 */

/* Well-formed UTF-8 without U+0000, at most TEXT_MAX bytes; may be empty. */
bool text_is_string(struct span s);
/* The same, not empty: a topic filter, whose syntax is not judged here. */
bool text_is_filter(struct span s);
/* The same, without wildcards (MQTT 5.0 4.7.1): the topic of a message. */
bool text_is_topic(struct span s);
