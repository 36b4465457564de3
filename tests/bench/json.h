/* json.h - writes one JSON document, member by member. Nesting is the caller's to keep. */
#pragma once
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>

struct json {
	FILE *to;
	int more; /* something stands before in this object or array */
};

/* `name` is NULL in an array and for the document itself. */
void json_open(struct json *j, const char *name, char bracket);
void json_close(struct json *j, char bracket);
void json_text(struct json *j, const char *name, const char *value);
void json_count(struct json *j, const char *name, uint64_t value);
void json_real(struct json *j, const char *name, double value); /* three digits; not finite: null */
