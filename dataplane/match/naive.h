/* naive.h - matching as the specification tells it, level by level: the tests' oracle.
 *
 * Shares no code with the matcher but the tree of an expression. Spec: MQTT
 * 5.0 4.7, AMQP 0-9-1 3.1.3.3. Not built into the product. */
#pragma once
#include "dataplane/match/regex.h"

enum { NAIVE_TOPIC_MAX = 63 }; /* bytes, of one that an expression is compared with */

bool naive_filter_ok(struct span filter);                     /* 4.7.1, 4.7.3 */
bool naive_topic_ok(struct span topic);                       /* 4.7.1, 4.7.3 */
bool naive_matches(struct span filter, struct span topic);    /* both are ok */
bool naive_words_match(struct span words, struct span topic); /* `*` and `#` between dots */
/* What a tree stands for: from a set of places to the set of those where it may end. */
bool naive_expression_matches(const struct regex_tree *tree, struct span topic);
