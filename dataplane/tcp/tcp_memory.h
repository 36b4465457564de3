/* tcp_memory.h - how much of what tcp_create took is in use. Not here: buffers, which are pools'.
 */
#pragma once
#include "dataplane/tcp/tcp.h"

/* Records of open connections with their timers and places in the flow table (which is half full
 * when it is full), pieces in send queues, scoreboards, half-open records, TIME-WAITs. */
size_t tcp_used(const struct tcp *t);
