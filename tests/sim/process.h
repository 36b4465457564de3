/* process.h - whose memory is whose, in a simulation of several processes in one.
 *
 * A plane's code runs inside process_enter and process_leave; what it allocates
 * meanwhile is its own, and process_kill frees all of that at once, as the kernel
 * does, without running a line of the victim's code. Works by wrapping the
 * allocator when the program is linked (see meson.build). */
#pragma once
#include <stddef.h>

enum process { PROCESS_NOBODY, PROCESS_DATAPLANE, PROCESS_CONTROLPLANE, PROCESSES };

enum process process_enter(enum process p); /* returns who it was before */
void process_leave(enum process before);
enum process process_current(void);
void process_kill(enum process p);
size_t process_blocks(enum process p); /* that it has not freed */
