/* tcp_congestion.h - the algorithms of congestion control, to choose from. */
#pragma once

enum tcp_congestion {
	TCP_CONGESTION_CUBIC = 0, /* RFC 9438 */
	TCP_CONGESTION_NEWRENO,   /* RFC 5681, 3465, 6582 */
	TCP_CONGESTIONS
};

/* Of "cubic" or "newreno"; of other words, the default. */
enum tcp_congestion tcp_congestion_named(const char *name);
