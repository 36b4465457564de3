/* effect.h - names the points behind which a process may be killed, for simulations.
 *
 * effect_point says that something has just become visible outside the process, and
 * which kind of it. A simulation defines effect_hook; everywhere else it is not there. In release
 * builds (no EFFECT_POINTS) the call is nothing at all. */
#pragma once

enum effect {
#define EFFECT(name, text) EFFECT_##name,
#include "dataplane/base/effect.def"
#undef EFFECT
	EFFECTS
};

enum { EFFECT_DETAILS = 32 }; /* details are below; 0: none */

__attribute__((weak)) void effect_hook(enum effect e, unsigned detail); /* may not return */

#ifdef EFFECT_POINTS
static inline void effect_point(enum effect e, unsigned detail)
{
	if (effect_hook != 0)
		effect_hook(e, detail);
}
#else
static inline void effect_point(enum effect e, unsigned detail)
{
	(void)e;
	(void)detail;
}
#endif
