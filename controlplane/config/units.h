/* units.h - numbers as people write them: 256KiB, 10s, 192.0.2.1, 0.1%.
 *
 * Whole numbers with a unit behind them, a space between is allowed. Nothing
 * is rounded, nothing overflows silently. Printing gives the largest unit that
 * divides the value. Pure. */
#pragma once
#include "dataplane/base/attr.h"
#include "dataplane/base/span.h"

#define US     1ull
#define MS     (1000 * US)
#define SECOND (1000 * MS)
#define MINUTE (60 * SECOND)
#define HOUR   (60 * MINUTE)
#define KIB    1024ull
#define MIB    (1024 * KIB)
#define GIB    (1024 * MIB)

/* False: not of that form, or beyond 64 bits. */
MUST_USE bool units_count(const char *text, uint64_t *out);
MUST_USE bool units_size(const char *text, uint64_t *bytes);      /* 5, 5KiB, 5MiB, 5GiB */
MUST_USE bool units_duration(const char *text, uint64_t *us);     /* 5us, 5ms, 5s, 5min, 5h; 0 */
MUST_USE bool units_address(const char *text, uint32_t *network); /* four numbers */
MUST_USE bool units_percent(const char *text, uint32_t *ppm);     /* 0 to 100, four decimals, % */

void units_print_size(uint64_t bytes, char *out, size_t size);
void units_print_duration(uint64_t us, char *out, size_t size);
void units_print_address(uint32_t network, char *out, size_t size);
void units_print_percent(uint32_t ppm, char *out, size_t size);
