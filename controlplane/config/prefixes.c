/* prefixes.c - see prefixes.h. */
#include "controlplane/config/prefixes.h"

#include "controlplane/config/units.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

enum { TEXT_MAX = 512 };

/* An address alone is a prefix of all its bits. */
static enum err parse_one(const char *text, struct prefix *out, char *why, size_t why_size)
{
	char address[TEXT_MAX];
	uint64_t bits = 32;

	snprintf(address, sizeof(address), "%s", text);
	char *slash = strchr(address, '/');
	if (slash != NULL)
		*slash++ = '\0';
	if (!units_address(address, &out->address) ||
		(slash != NULL && (!units_count(slash, &bits) || bits > 32))) {
		snprintf(why, why_size, "\"%.40s\" is no prefix such as 192.0.2.0/24", text);
		return ERR_CONFIG;
	}
	out->bits = (uint32_t)bits;
	if (bits < 32 && (ntohl(out->address) & UINT32_MAX >> bits) != 0) {
		snprintf(why, why_size, "\"%.40s\" has bits behind its first %u", text, out->bits);
		return ERR_CONFIG;
	}
	return ERR_NONE;
}

enum err prefixes_parse(const char *text, struct prefixes *out, char *why, size_t why_size)
{
	char copy[TEXT_MAX], *rest = copy;
	struct prefixes read = {0};

	if (strlen(text) >= sizeof(copy)) {
		snprintf(why, why_size, "longer than %d bytes", TEXT_MAX - 1);
		return ERR_CONFIG;
	}
	snprintf(copy, sizeof(copy), "%s", text);
	if (strcmp(text, "none") == 0)
		rest = NULL;
	for (char *word; (word = strsep(&rest, ",")) != NULL; read.count++) {
		if (read.count == PREFIXES_MAX) {
			snprintf(why, why_size, "there are more than %d prefixes", PREFIXES_MAX);
			return ERR_CONFIG;
		}
		const enum err e = parse_one(word, &read.list[read.count], why, why_size);
		if (e != ERR_NONE)
			return e;
	}
	*out = read;
	return ERR_NONE;
}

void prefixes_print(const struct prefixes *p, char *out, size_t size)
{
	size_t used = 0;

	snprintf(out, size, "none");
	for (uint32_t i = 0; i < p->count && i < PREFIXES_MAX && used < size; i++) {
		char address[16];
		units_print_address(p->list[i].address, address, sizeof(address));
		const int n = snprintf(out + used, size - used, "%s%s/%u", i == 0 ? "" : ",",
			address, p->list[i].bits);
		used += n > 0 ? (size_t)n : 0;
	}
}
