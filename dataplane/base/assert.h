/* assert.h - for our own mistakes only.
 *
 * Stays in release builds: a broken invariant ends the process with the place
 * and the condition, and the launcher restarts it. Never on a peer's bytes, on
 * configuration or on exhaustion: those are answered, see err.h. */
#pragma once
#include <assert.h> /* static_assert */

__attribute__((noreturn)) void assert_failed(const char *file, int line, const char *condition);

#define ASSERT(condition)                                                                          \
	(__builtin_expect(!!(condition), 1) ? (void)0                                              \
					    : assert_failed(__FILE__, __LINE__, #condition))
