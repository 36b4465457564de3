/* idle.h - when may a worker wait, and for how long? Pure.
 *
 * Spin while there is work and a little longer; then wait on the NIC where it
 * can wake us, and sleep briefly where it cannot. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

struct idle_conf {
	uint64_t spin_us;      /* empty turns for so long before the first wait */
	uint64_t wait_max_us;  /* longest wait on a NIC that wakes us */
	uint64_t sleep_max_us; /* longest sleep where it does not */
	uint64_t answer_us;    /* longest wait while another process owes an answer */
	bool wakes;            /* the NIC wakes us */
};

struct idle {
	uint64_t since_us; /* of the first empty turn in a row; 0: busy */
};

/* After a turn: microseconds to wait, 0 to turn again at once. `due_us` is the next timer. */
uint64_t idle_wait_us(struct idle *i, const struct idle_conf *conf, bool busy, bool owed,
	uint64_t now_us, uint64_t due_us);
