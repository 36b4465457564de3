/* assets.h - the console's files, put into the program by embed.py at build time. */
#pragma once
#include <stddef.h>

struct asset {
	const char *path; /* "/console.css" */
	const char *type; /* Content-Type */
	const char *etag; /* with its quotes; changes with the content */
	const unsigned char *bytes;
	size_t size;
};

extern const struct asset assets[];
extern const size_t assets_count;
