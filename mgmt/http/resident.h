/* resident.h - what the kernel and the C library say of memory. */
#pragma once
#include "mgmt/api/memory.h"

void resident_read(const struct snapshot *s, struct memory_input *out);
