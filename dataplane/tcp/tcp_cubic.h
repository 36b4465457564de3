/* tcp_cubic.h - CUBIC's curve, in whole numbers: where cwnd should be at a time after a loss.
 *
 * Pure. Windows are bytes, times microseconds on the outside and milliseconds
 * within the curve. An epoch is a stretch of congestion avoidance in which
 * cwnd, and nothing else, limits sending; it ends with a loss or with a pause
 * (RFC 9438 4.2, 5.8), and the next one begins where cwnd is then.
 *
 * Spec: RFC 9438 4.2 to 4.5, 4.7. Not here: ssthresh, slow start (tcp_congestion.c). */
#pragma once
#include <stdbool.h>
#include <stdint.h>

struct cubic {
	uint64_t epoch_us;     /* when this epoch began; 0: none has */
	uint64_t reno_bytes;   /* W_est, in units of 1/65536 byte */
	uint32_t w_max;        /* of this epoch */
	uint32_t k_ms;         /* K: when the curve is back at w_max */
	uint32_t cwnd_prior;   /* before the last reduction; 0: not known */
	uint32_t unused_bytes; /* acknowledged, but not yet worth a byte of cwnd */
};

/* What an acknowledgement finds. mss > 0, cwnd > 0. */
struct cubic_ack {
	uint64_t now_us;
	uint32_t cwnd, mss, bytes, srtt_us;
};

enum {
	CUBIC_BETA_TENTHS = 7, /* RFC 9438 4.6 */
	CUBIC_CWND_MAX = 1 << 30,
};

/* An epoch begins; w_max 0: not known, so the curve begins at its flat point (4.8, 4.10). */
void cubic_begin(struct cubic *q, const struct cubic_ack *a, uint32_t w_max);
/* RFC 9438 4.2: W_cubic (t), t_us after the beginning of the epoch. */
uint64_t cubic_window(const struct cubic *q, uint64_t t_us, uint32_t mss);
/* The new cwnd (4.3 to 4.5); never below the old one. */
uint32_t cubic_acked(struct cubic *q, const struct cubic_ack *a);
/* RFC 9438 4.7, fast convergence: W_max after a reduction at this cwnd. */
uint32_t cubic_w_max(uint32_t cwnd, uint32_t w_max_before);
