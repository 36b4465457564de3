/* tcp_hystart.h - HyStart++: when slow start should end before it overflows a queue.
 *
 * Pure. A round is the time in which one window is acknowledged. When the least
 * round trip of a round is clearly longer than that of the round before, a
 * queue is building up: cwnd grows on at a quarter of the pace for five rounds
 * (conservative slow start), unless it turns out that the delay was jitter.
 *
 * Spec: RFC 9406 4.2, 4.3; for the first slow start of a connection only. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

enum { HYSTART_RTT_NONE = UINT32_MAX };

struct hystart {
	uint32_t window_end;  /* the round ends when this number is acknowledged */
	uint32_t last_us;     /* least round trip of the last round */
	uint32_t current_us;  /* ... of this one */
	uint32_t baseline_us; /* ... of the one that began conservative slow start */
	uint8_t samples;      /* of this round; it need not count beyond what is needed */
	uint8_t rounds;       /* of conservative slow start, begun or over; 0: not in it */
};

enum hystart_verdict {
	HYSTART_SLOW_START,
	HYSTART_CONSERVATIVE, /* grow by a quarter */
	HYSTART_OVER,         /* ssthresh = cwnd */
};

void hystart_begin(struct hystart *h, uint32_t snd_nxt);
void hystart_sample(struct hystart *h, uint32_t rtt_us);
enum hystart_verdict hystart_acked(struct hystart *h, uint32_t snd_una, uint32_t snd_nxt);
