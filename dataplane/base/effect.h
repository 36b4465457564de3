/* effect.h - names the points behind which a process may be killed, for simulations.
 *
 * effect_point says that something has just become visible outside the process.
 * A simulation defines effect_hook; everywhere else it is not there, and in release builds
 * (EFFECT_POINTS undefined) the call is nothing at all. */
#pragma once

enum effect {
#define EFFECT(name, text) EFFECT_##name,
#include "dataplane/base/effect.def"
#undef EFFECT
	EFFECTS
};

#ifdef EFFECT_POINTS
__attribute__((weak)) void effect_hook(enum effect e); /* may not return */

static inline void effect_point(enum effect e)
{
	if (effect_hook != 0)
		effect_hook(e);
}
#else
static inline void effect_point(enum effect e)
{
	(void)e;
}
#endif
