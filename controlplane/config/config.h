/* config.h - the configuration file: YAML text to a checked struct shm_config, and back to text.
 *
 * The keys, their types, limits, defaults and texts are the rows of config.def.
 * The file is two levels of mappings (section: key: value) and nothing else:
 * no lists, anchors, tags. Values are judged by the key's type, so `no` is
 * never a boolean. All mistakes of a file are told at once, each with its
 * place, what is allowed, and how to mend it.
 *
 * Pure: bytes in, struct and text out. Files are main()'s. */
#pragma once
#include "dataplane/base/err.h"
#include "dataplane/base/span.h"
#include "dataplane/shm/config.h"

enum {
	CONFIG_FILE_MAX = 1 << 20, /* bytes */
	CONFIG_ERRORS_MAX = 20,    /* told; the rest is only counted */
	CONFIG_ERROR_BYTES = 320,
};

enum config_type {
	CONFIG_COUNT,    /* 20000 */
	CONFIG_SIZE,     /* 16MiB */
	CONFIG_DURATION, /* 200us, 1ms, 10s, 2min; kept in microseconds */
	CONFIG_SECONDS,  /* the same, in whole seconds, and kept in them */
	CONFIG_ADDRESS,  /* 192.0.2.1 */
	CONFIG_TEXT,     /* at most `max` bytes */
	CONFIG_CHOICE,   /* one word of several */
	CONFIG_IMPAIR,   /* impair.h */
	CONFIG_PREFIXES, /* prefixes.h */
};

struct config_key {
	const char *name; /* "tcp.keepalive" */
	const char *text;
	/* Default of ADDRESS, TEXT, IMPAIR and PREFIXES; of CHOICE all words, the default first, a
	 * space between two. */
	const char *initial_text;
	uint64_t min, max; /* COUNT, SIZE, DURATION, SECONDS, in base units; TEXT: max bytes */
	uint64_t initial;  /* default of those */
	enum config_type type;
	size_t offset, size; /* of the field */
};

struct config_errors {
	uint32_t count;                                   /* of all mistakes */
	char text[CONFIG_ERRORS_MAX][CONFIG_ERROR_BYTES]; /* "box.yaml:3:9: ..." */
};

const struct config_key *config_keys(size_t *count);
void config_defaults(struct shm_config *out);

/* Reads over the defaults. `name` is the file's, for messages. ERR_CONFIG: see errors. */
MUST_USE enum err config_parse(
	struct span yaml, const char *name, struct shm_config *out, struct config_errors *errors);

/* The value as the file would have it. */
void config_value(const struct config_key *key, const struct shm_config *c, char *out, size_t size);
/* "1 to 65535", "4KiB to 16MiB", "an IPv4 address such as 192.0.2.1". */
void config_range(const struct config_key *key, char *out, size_t size);

enum config_format { CONFIG_YAML, CONFIG_MARKDOWN };
/* All keys with their values and texts, as a file that config_parse reads, or as a page. Returns
 * the bytes of the whole text, like snprintf. */
size_t config_show(const struct shm_config *c, enum config_format format, char *out, size_t size);
