/* tcp_hystart.c - see tcp_hystart.h. */
#include "dataplane/tcp/tcp_hystart.h"

#include "dataplane/tcp/tcp_seq.h"

/* RFC 9406 4.3's values. */
enum {
	RTT_THRESH_US_MIN = 4000,
	RTT_THRESH_US_MAX = 16000,
	RTT_DIVISOR = 8,
	RTT_SAMPLES = 8,
	CSS_ROUNDS = 5,
};

void hystart_begin(struct hystart *h, uint32_t snd_nxt)
{
	*h = (struct hystart){.window_end = snd_nxt,
		.last_us = HYSTART_RTT_NONE,
		.current_us = HYSTART_RTT_NONE,
		.baseline_us = HYSTART_RTT_NONE};
}

void hystart_sample(struct hystart *h, uint32_t rtt_us)
{
	if (rtt_us < h->current_us)
		h->current_us = rtt_us;
	if (h->samples < RTT_SAMPLES)
		h->samples++;
}

static bool delay_has_grown(const struct hystart *h)
{
	uint32_t thresh = h->last_us / RTT_DIVISOR;

	if (h->last_us == HYSTART_RTT_NONE)
		return false;
	thresh = thresh < RTT_THRESH_US_MAX ? thresh : (uint32_t)RTT_THRESH_US_MAX;
	thresh = thresh > RTT_THRESH_US_MIN ? thresh : (uint32_t)RTT_THRESH_US_MIN;
	return h->current_us - h->last_us >= thresh && h->current_us > h->last_us;
}

/* Into conservative slow start, or out of it again. */
static void judge(struct hystart *h)
{
	if (h->samples < RTT_SAMPLES)
		return;
	if (h->rounds == 0 && delay_has_grown(h)) {
		h->baseline_us = h->current_us;
		h->rounds = 1; /* the rest of this round counts as one */
	} else if (h->rounds > 0 && h->current_us < h->baseline_us) {
		h->baseline_us = HYSTART_RTT_NONE;
		h->rounds = 0;
	}
}

enum hystart_verdict hystart_acked(struct hystart *h, uint32_t snd_una, uint32_t snd_nxt)
{
	judge(h);
	if (seq_ge(snd_una, h->window_end)) {
		if (h->rounds == CSS_ROUNDS)
			return HYSTART_OVER;
		h->rounds += h->rounds > 0;
		h->window_end = snd_nxt;
		h->last_us = h->current_us;
		h->current_us = HYSTART_RTT_NONE;
		h->samples = 0;
	}
	return h->rounds > 0 ? HYSTART_CONSERVATIVE : HYSTART_SLOW_START;
}
