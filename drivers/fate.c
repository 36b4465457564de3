/* fate.c - see fate.h. */
#include "drivers/fate.h"

struct rng fate_rng(const struct impair_settings *s, unsigned direction)
{
	return rng_from(s->seed * 2 + direction);
}

bool fate_is_none(const struct impair_settings *s)
{
	return s->loss_ppm == 0 && s->reorder_ppm == 0 && s->duplicate_ppm == 0 &&
	       s->corrupt_ppm == 0 && s->delay_us == 0 && s->jitter_us == 0;
}

static uint32_t some_delay_us(const struct impair_settings *s, struct rng *rng)
{
	const uint32_t jitter_us = s->jitter_us == UINT32_MAX ? UINT32_MAX : s->jitter_us + 1;
	const uint64_t sum = (uint64_t)s->delay_us + rng_below(rng, jitter_us);

	return sum > UINT32_MAX ? UINT32_MAX : (uint32_t)sum;
}

struct fate fate_of(const struct impair_settings *s, struct rng *rng, uint32_t size_bytes)
{
	const bool lost = rng_chance(rng, s->loss_ppm);
	const bool duplicate = rng_chance(rng, s->duplicate_ppm);
	const bool late = rng_chance(rng, s->reorder_ppm);
	const uint32_t overtakers = 1 + rng_below(rng, FATE_OVERTAKERS_MAX);
	const bool corrupt = rng_chance(rng, s->corrupt_ppm);
	const uint32_t bit = rng_below(rng, size_bytes == 0 ? 1 : size_bytes * 8);
	const uint32_t delay_us = some_delay_us(s, rng);
	const uint32_t copy_delay_us = some_delay_us(s, rng);

	return (struct fate){
		.lost = lost,
		.duplicate = duplicate && !lost,
		.overtakers = late ? (uint8_t)overtakers : 0,
		.corrupt_bit = corrupt && size_bytes > 0 ? bit : (uint32_t)FATE_INTACT,
		.delay_us = delay_us,
		.copy_delay_us = copy_delay_us,
	};
}
