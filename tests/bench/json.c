/* json.c - see json.h. */
#include "tests/bench/json.h"

#include <math.h>

static void write_string(struct json *j, const char *text)
{
	fputc('"', j->to);
	for (; *text != '\0'; text++) {
		const unsigned char c = (unsigned char)*text;
		if (c == '"' || c == '\\')
			fprintf(j->to, "\\%c", c);
		else if (c < 0x20)
			fprintf(j->to, "\\u%04x", c);
		else
			fputc(c, j->to);
	}
	fputc('"', j->to);
}

static void begin(struct json *j, const char *name)
{
	if (j->more)
		fputs(", ", j->to);
	j->more = 1;
	if (name != NULL) {
		write_string(j, name);
		fputs(": ", j->to);
	}
}

void json_open(struct json *j, const char *name, char bracket)
{
	begin(j, name);
	fputc(bracket, j->to);
	j->more = 0;
}

void json_close(struct json *j, char bracket)
{
	fputc(bracket, j->to);
	j->more = 1;
}

void json_text(struct json *j, const char *name, const char *value)
{
	begin(j, name);
	write_string(j, value);
}

void json_count(struct json *j, const char *name, uint64_t value)
{
	begin(j, name);
	fprintf(j->to, "%" PRIu64, value);
}

void json_real(struct json *j, const char *name, double value)
{
	begin(j, name);
	if (isfinite(value))
		fprintf(j->to, "%.3f", value);
	else
		fputs("null", j->to);
}
