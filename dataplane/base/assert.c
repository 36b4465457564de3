/* assert.c - says which invariant broke, then aborts. */
#include "dataplane/base/assert.h"

#include <stdio.h>
#include <stdlib.h>

void assert_failed(const char *file, int line, const char *condition)
{
	fprintf(stderr, "signalbox: assertion failed: %s:%d: %s\n", file, line, condition);
	abort();
}
