/* options.h - the command line of signalbox-controlplane, and the configuration that follows from
 * it.
 *
 * Options that are also keys of the file win over it, so that one file serves
 * on several interfaces. For main() only. */
#pragma once
#include "controlplane/config/config.h"
#include "dataplane/shm/processes.h"

enum options_mode { OPTIONS_SERVE, OPTIONS_CHECK, OPTIONS_SHOW, OPTIONS_SHOW_MARKDOWN };

enum { OPTIONS_KEYS = 6 };

/* Beside EXIT_SUCCESS and EXIT_FAILURE. */
enum {
	EXIT_USAGE = 2,
	EXIT_STORE_UNUSABLE = 3, /* at the start */
	EXIT_STORE_FAILED = 4,   /* while it served */
	EXIT_STORE_DAMAGED = SHM_EXIT_HOPELESS,
};

struct options {
	enum options_mode mode;
	const char *shm, *socket, *data; /* SERVE */
	const char *config;              /* file; NULL: all defaults */
	const char *user;                /* name or number; whom to become if we are root */
	struct {
		const char *option, *value; /* "--address", ... */
	} keys[OPTIONS_KEYS];
	uint32_t key_count;
};

/* False: told on stderr, exit with EXIT_USAGE. *help: the usage was asked for and printed. */
MUST_USE bool options_parse(int argc, char **argv, struct options *out, bool *help);
/* The file, then the options over it. False: told on stderr. */
MUST_USE bool options_config(const struct options *o, struct shm_config *out);
/* What people can do when the store says that. */
const char *options_store_remedy(enum err e);
/* No start changes it: it is damaged, or another version's. */
bool options_store_is_hopeless(enum err e);
