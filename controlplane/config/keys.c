/* keys.c - the table of keys, and values as text. See config.h. */
#include "controlplane/config/config.h"

#include "controlplane/config/impair.h"
#include "controlplane/config/keys.h"
#include "controlplane/config/prefixes.h"
#include "controlplane/config/units.h"
#include "dataplane/base/assert.h"

#include <stdio.h>

#define FIELD_SIZE(field) sizeof(((struct shm_config *)0)->field)

/* The default is a number or a text, by the type of the row. */
#define INITIAL_COUNT(v)    .initial = (v)
#define INITIAL_SIZE(v)     .initial = (v)
#define INITIAL_DURATION(v) .initial = (v)
#define INITIAL_SECONDS(v)  .initial = (v)
#define INITIAL_ADDRESS(v)  .initial_text = (v)
#define INITIAL_TEXT(v)     .initial_text = (v)
#define INITIAL_CHOICE(v)   .initial_text = (v)
#define INITIAL_IMPAIR(v)   .initial_text = (v)
#define INITIAL_PREFIXES(v) .initial_text = (v)

static const struct config_key keys[] = {
#define CONFIG(key, field, kind, low, high, def, line)                                             \
	{.name = (key),                                                                            \
		.text = (line),                                                                    \
		.min = (low),                                                                      \
		.max = (high),                                                                     \
		.type = CONFIG_##kind,                                                             \
		.offset = offsetof(struct shm_config, field),                                      \
		.size = FIELD_SIZE(field),                                                         \
		INITIAL_##kind(def)},
#include "controlplane/config/config.def"
#undef CONFIG
};

const struct config_key *config_keys(size_t *count)
{
	*count = ARRAY_SIZE(keys);
	return keys;
}

uint64_t config_get(const struct config_key *key, const struct shm_config *c)
{
	const uint8_t *at = (const uint8_t *)c + key->offset;
	uint64_t v64;
	uint32_t v32;
	uint16_t v16;

	if (key->size == sizeof(v16)) {
		memcpy(&v16, at, sizeof(v16));
		return v16;
	}
	if (key->size == sizeof(v32)) {
		memcpy(&v32, at, sizeof(v32));
		return v32;
	}
	ASSERT(key->size == sizeof(v64));
	memcpy(&v64, at, sizeof(v64));
	return v64;
}

static void set(const struct config_key *key, struct shm_config *c, uint64_t v)
{
	/* x86-64: the low bytes come first. */
	ASSERT(key->size == 8 || v >> (8 * key->size) == 0);
	memcpy((uint8_t *)c + key->offset, &v, key->size);
}

static bool read_number(const struct config_key *key, const char *text, uint64_t *out)
{
	switch (key->type) {
	case CONFIG_COUNT:
		return units_count(text, out);
	case CONFIG_SIZE:
		return units_size(text, out);
	case CONFIG_DURATION:
		return units_duration(text, out);
	case CONFIG_SECONDS:
		return units_duration(text, out) && *out % SECOND == 0;
	case CONFIG_ADDRESS:
	case CONFIG_TEXT:
	case CONFIG_CHOICE:
	case CONFIG_IMPAIR:
	case CONFIG_PREFIXES:
		break;
	}
	return false;
}

static const char *wanted(enum config_type type)
{
	if (type == CONFIG_COUNT)
		return "a whole number";
	if (type == CONFIG_SIZE)
		return "a size: a whole number of bytes, or with KiB, MiB or GiB behind it";
	if (type == CONFIG_DURATION)
		return "a time: a whole number with us, ms, s, min or h behind it";
	ASSERT(type == CONFIG_SECONDS);
	return "a time in whole seconds: a whole number with s, min or h behind it";
}

static enum err set_number(const struct config_key *key, const char *text, struct shm_config *c,
	char *why, size_t why_size)
{
	char range[64], initial[32];
	struct shm_config defaults;
	uint64_t v = 0;

	config_range(key, range, sizeof(range));
	if (!read_number(key, text, &v)) {
		snprintf(why, why_size, "\"%.40s\" is not %s; %s", text, wanted(key->type), range);
		return ERR_CONFIG;
	}
	if (v < key->min || v > key->max) {
		config_defaults(&defaults);
		config_value(key, &defaults, initial, sizeof(initial));
		snprintf(why, why_size, "%.40s is out of range; %s, default %s", text, range,
			initial);
		return ERR_CONFIG;
	}
	set(key, c, key->type == CONFIG_SECONDS ? v / SECOND : v);
	return ERR_NONE;
}

/* Names end up in other processes' messages and calls: no spaces, no surprises. */
static bool is_plain(const char *text)
{
	for (; *text != '\0'; text++)
		if (*text <= ' ' || *text > '~' || *text == '"' || *text == '\\')
			return false;
	return true;
}

/* Bytes of the word at the start of a CHOICE's words. */
static size_t word_size(const char *words)
{
	return strcspn(words, " ");
}

/* The next word; NULL: that was the last. */
static const char *word_next(const char *words)
{
	const char *space = strchr(words, ' ');
	return space == NULL ? NULL : space + 1;
}

static bool is_choice(const struct config_key *key, const char *text)
{
	for (const char *w = key->initial_text; w != NULL; w = word_next(w))
		if (strlen(text) == word_size(w) && memcmp(text, w, word_size(w)) == 0)
			return true;
	return false;
}

static void print_choice(const struct config_key *key, char *out, size_t size)
{
	size_t used = 0;

	out[0] = '\0';
	for (const char *w = key->initial_text; w != NULL && used < size; w = word_next(w)) {
		const char *between = used == 0 ? "" : word_next(w) == NULL ? " or " : ", ";
		const int n =
			snprintf(out + used, size - used, "%s%.*s", between, (int)word_size(w), w);
		used += n > 0 ? (size_t)n : size;
	}
}

static void set_text(const struct config_key *key, const char *text, size_t size, char *field)
{
	ASSERT(size < key->size);
	memset(field, 0, key->size);
	memcpy(field, text, size);
}

enum err config_set(const struct config_key *key, const char *text, struct shm_config *c, char *why,
	size_t why_size)
{
	char *field = (char *)c + key->offset;
	char range[64];

	config_range(key, range, sizeof(range));
	switch (key->type) {
	case CONFIG_ADDRESS:
		if (units_address(text, (uint32_t *)(void *)field))
			return ERR_NONE;
		snprintf(why, why_size, "\"%.40s\" is not %s", text, range);
		return ERR_CONFIG;
	case CONFIG_TEXT:
		if (strlen(text) > key->max || !is_plain(text)) {
			snprintf(why, why_size, "\"%.40s\" is not %s", text, range);
			return ERR_CONFIG;
		}
		set_text(key, text, strlen(text), field);
		return ERR_NONE;
	case CONFIG_CHOICE:
		if (!is_choice(key, text)) {
			snprintf(why, why_size, "\"%.40s\" is not %s", text, range);
			return ERR_CONFIG;
		}
		set_text(key, text, strlen(text), field);
		return ERR_NONE;
	case CONFIG_IMPAIR:
		return impair_parse(text, &c->impair, why, why_size);
	case CONFIG_PREFIXES:
		return prefixes_parse(text, (struct prefixes *)(void *)field, why, why_size);
	case CONFIG_COUNT:
	case CONFIG_SIZE:
	case CONFIG_DURATION:
	case CONFIG_SECONDS:
		break;
	}
	return set_number(key, text, c, why, why_size);
}

void config_defaults(struct shm_config *out)
{
	char why[CONFIG_ERROR_BYTES];

	memset(out, 0, sizeof(*out));
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		const struct config_key *key = &keys[i];
		enum err e = ERR_NONE;
		if (key->type == CONFIG_CHOICE)
			set_text(key, key->initial_text, word_size(key->initial_text),
				(char *)out + key->offset);
		else if (key->initial_text != NULL)
			e = config_set(key, key->initial_text, out, why, sizeof(why));
		else if (key->type == CONFIG_SECONDS)
			set(key, out, key->initial / SECOND);
		else
			set(key, out, key->initial);
		ASSERT(e == ERR_NONE); /* a default that cannot be is our mistake */
	}
}

static void print_number(const struct config_key *key, uint64_t v, char *out, size_t size)
{
	if (key->type == CONFIG_SIZE)
		units_print_size(v, out, size);
	else if (key->type == CONFIG_COUNT)
		snprintf(out, size, "%llu", (unsigned long long)v);
	else if (v == 0)
		snprintf(out, size, "0s");
	else
		units_print_duration(v, out, size);
}

void config_value(const struct config_key *key, const struct shm_config *c, char *out, size_t size)
{
	const char *field = (const char *)c + key->offset;

	switch (key->type) {
	case CONFIG_ADDRESS:
		units_print_address((uint32_t)config_get(key, c), out, size);
		return;
	case CONFIG_TEXT:
	case CONFIG_CHOICE:
		snprintf(out, size, "%.*s", (int)key->size, field);
		return;
	case CONFIG_IMPAIR:
		impair_print(&c->impair, out, size);
		return;
	case CONFIG_PREFIXES:
		prefixes_print((const struct prefixes *)(const void *)field, out, size);
		return;
	case CONFIG_SECONDS:
		print_number(key, config_get(key, c) * SECOND, out, size);
		return;
	case CONFIG_COUNT:
	case CONFIG_SIZE:
	case CONFIG_DURATION:
		print_number(key, config_get(key, c), out, size);
	}
}

void config_range(const struct config_key *key, char *out, size_t size)
{
	char low[32], high[32];

	switch (key->type) {
	case CONFIG_ADDRESS:
		snprintf(out, size, "an IPv4 address, such as 192.0.2.1");
		return;
	case CONFIG_TEXT:
		snprintf(out, size, "at most %llu letters, digits and signs",
			(unsigned long long)key->max);
		return;
	case CONFIG_CHOICE:
		print_choice(key, out, size);
		return;
	case CONFIG_IMPAIR:
		snprintf(out, size, "off, or a list of impairments");
		return;
	case CONFIG_PREFIXES:
		snprintf(
			out, size, "none, or up to %d such as 192.0.2.0/24,10.0.0.1", PREFIXES_MAX);
		return;
	case CONFIG_COUNT:
	case CONFIG_SIZE:
	case CONFIG_DURATION:
	case CONFIG_SECONDS:
		print_number(key, key->min, low, sizeof(low));
		print_number(key, key->max, high, sizeof(high));
		snprintf(out, size, "%s to %s", low, high);
	}
}
