/* metrics.h - the newest snapshot in Prometheus' text format, version 0.0.4.
 *
 * Pure. Counters are summed over the workers; errors are one metric with the
 * reason as its label. Metric names never change once they were published. */
#pragma once
#include "mgmt/api/sample.h"

enum { METRICS_BYTES_MAX = 128 * 1024 };

/* Bytes written, without the closing NUL; 0: `size` was too small. */
MUST_USE size_t metrics_write(const struct snapshot *s, const char *version, char *to, size_t size);
