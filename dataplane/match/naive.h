/* naive.h - matching as the specification tells it, level by level: the tests' oracle.
 *
 * Shares no code with the matcher. Spec: MQTT 5.0 4.7. Not built into the product. */
#pragma once
#include "dataplane/base/span.h"

bool naive_filter_ok(struct span filter);                  /* 4.7.1, 4.7.3 */
bool naive_topic_ok(struct span topic);                    /* 4.7.1, 4.7.3 */
bool naive_matches(struct span filter, struct span topic); /* both are ok */
