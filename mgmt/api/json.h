/* json.h - numbers as jansson takes them. */
#pragma once
#include <jansson.h>
#include <stdint.h>

/* jansson's numbers are signed: only a broken counter reaches what does not fit. */
static inline json_t *json_count(uint64_t v)
{
	return json_integer(v > INT64_MAX ? INT64_MAX : (json_int_t)v);
}
