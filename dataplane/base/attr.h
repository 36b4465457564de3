/* attr.h - the few compiler words that the house uses. */
#pragma once

#define MUST_USE           __attribute__((warn_unused_result))
#define PACKED             __attribute__((packed))
#define ALIGNED(n)         __attribute__((aligned(n)))
#define PRINTF(fmt, first) __attribute__((format(printf, fmt, first)))

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
