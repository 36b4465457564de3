/* fate.h - decides what becomes of one frame on an impaired wire. Pure: settings and a generator
 * in, a verdict out. Each frame draws equally many numbers whatever the settings, so that turning
 * one knob does not change what the others do. Not here: time and order (path.h), bytes. */
#pragma once
#include "dataplane/base/rng.h"
#include "drivers/impair.h"

enum { FATE_INTACT = UINT32_MAX, FATE_OVERTAKERS_MAX = 3 };

struct fate {
	bool lost;
	bool duplicate;
	uint8_t overtakers;   /* held back until so many later frames have passed; 0: in order */
	uint32_t corrupt_bit; /* which bit flips, counted from the first byte; FATE_INTACT */
	uint32_t delay_us;
	uint32_t copy_delay_us; /* of the duplicate */
};

struct fate fate_of(const struct impair_settings *s, struct rng *rng, uint32_t size_bytes);
/* The generator of one direction of a wire (0 or 1). */
struct rng fate_rng(const struct impair_settings *s, unsigned direction);
/* True if a frame can only pass untouched and at once. */
bool fate_is_none(const struct impair_settings *s);
