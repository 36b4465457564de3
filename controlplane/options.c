/* options.c - see options.h. */
#include "controlplane/options.h"

#include "controlplane/config/keys.h"
#include "dataplane/base/assert.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

enum { OPTION_MARKDOWN = 1, OPTION_HELP };

static const char usage[] =
	"Usage: signalbox-controlplane --shm SPEC --socket PATH --data DIR [OPTION]...\n"
	"       signalbox-controlplane --check-config FILE\n"
	"       signalbox-controlplane --show-config [FILE] [--markdown]\n"
	"\n"
	"Grants sessions, holds the configuration, answers signalbox-ctl. Started by\n"
	"signalbox-launcher, which makes the shared memory.\n"
	"\n"
	"  --shm SPEC          descriptors of the shared regions: dp=3:ro,cp=4:rw,...\n"
	"  --socket PATH       where to listen for signalbox-ctl and management\n"
	"  --data DIR          where to keep what must survive\n"
	"  --config FILE       the configuration; without it, the defaults\n"
	"  --user USER         whom to become when started as root (nobody)\n"
	"  --nic KIND          instead of net.nic of the file\n"
	"  --interface NAME    instead of net.interface\n"
	"  --workers N         instead of net.workers; the shared memory is made for so many\n"
	"  --address A.B.C.D/LEN  instead of net.address and net.netmask\n"
	"  --gateway A.B.C.D   instead of net.gateway\n"
	"  --impair SPEC       instead of net.impair\n"
	"  --check-config FILE prints OK, or every mistake of the file with its place\n"
	"  --show-config       prints every key, its value and what it is, as a file\n"
	"  --markdown          the same as a page\n"
	"\n"
	"Exit code: 0 ended as asked, 1 failed, 2 the command line or the configuration is\n"
	"wrong, 3 the store cannot be opened, 4 the store failed, 5 it is damaged or of\n"
	"another version, which no new start changes.\n";

static const struct option options[] = {{"shm", required_argument, NULL, 's'},
	{"socket", required_argument, NULL, 'S'}, {"data", required_argument, NULL, 'd'},
	{"config", required_argument, NULL, 'c'}, {"user", required_argument, NULL, 'u'},
	{"nic", required_argument, NULL, 'k'}, {"interface", required_argument, NULL, 'k'},
	{"workers", required_argument, NULL, 'k'}, {"address", required_argument, NULL, 'k'},
	{"gateway", required_argument, NULL, 'k'}, {"impair", required_argument, NULL, 'k'},
	{"check-config", required_argument, NULL, 'C'}, {"show-config", no_argument, NULL, 'w'},
	{"markdown", no_argument, NULL, OPTION_MARKDOWN}, {"help", no_argument, NULL, OPTION_HELP},
	{NULL, 0, NULL, 0}};

static bool complain(const char *what)
{
	fprintf(stderr, "signalbox-controlplane: %s (--help tells more)\n", what);
	return false;
}

/* An option that is a key: the last one given counts. */
static bool take_key(struct options *o, const char *name)
{
	uint32_t i = 0;

	while (i < o->key_count && strcmp(o->keys[i].option, name) != 0)
		i++;
	ASSERT(i < OPTIONS_KEYS);
	o->key_count += i == o->key_count;
	o->keys[i].option = name;
	o->keys[i].value = optarg;
	return true;
}

static bool take(struct options *o, int c, const char *name)
{
	switch (c) {
	case 's':
		o->shm = optarg;
		return true;
	case 'S':
		o->socket = optarg;
		return true;
	case 'd':
		o->data = optarg;
		return true;
	case 'c':
		o->config = optarg;
		return true;
	case 'u':
		o->user = optarg;
		return true;
	case 'k':
		return take_key(o, name);
	case 'C':
		o->mode = OPTIONS_CHECK;
		o->config = optarg;
		return true;
	case 'w':
		o->mode = o->mode == OPTIONS_SHOW_MARKDOWN ? o->mode : OPTIONS_SHOW;
		return true;
	case OPTION_MARKDOWN:
		o->mode = OPTIONS_SHOW_MARKDOWN;
		return true;
	default:
		return complain("what is asked for is not known");
	}
}

bool options_parse(int argc, char **argv, struct options *out, bool *help)
{
	int index = 0;

	*out = (struct options){.user = "nobody"};
	*help = false;
	for (int c; (c = getopt_long(argc, argv, "", options, &index)) != -1;) {
		*help |= c == OPTION_HELP;
		if (c != OPTION_HELP && !take(out, c, c == '?' ? "" : options[index].name))
			return false;
	}
	if (*help) {
		fputs(usage, stdout);
		return true;
	}
	const bool shows = out->mode == OPTIONS_SHOW || out->mode == OPTIONS_SHOW_MARKDOWN;
	if (shows && optind < argc)
		out->config = argv[optind++];
	if (optind < argc)
		return complain("there is an argument too many");
	if (out->mode != OPTIONS_SERVE)
		return true;
	if (out->shm == NULL || out->socket == NULL || out->data == NULL)
		return complain("--shm, --socket and --data are needed");
	return true;
}

static const struct config_key *key_named(const char *section, const char *name)
{
	size_t count;
	const struct config_key *keys = config_keys(&count);
	char full[64];

	snprintf(full, sizeof(full), "%s.%s", section, name);
	for (size_t i = 0; i < count; i++)
		if (strcmp(keys[i].name, full) == 0)
			return &keys[i];
	return NULL;
}

static bool set_key(const char *name, const char *value, struct shm_config *c)
{
	const struct config_key *key = key_named("net", name);
	char why[CONFIG_ERROR_BYTES];

	ASSERT(key != NULL);
	if (config_set(key, value, c, why, sizeof(why)) == ERR_NONE)
		return true;
	fprintf(stderr, "signalbox-controlplane: --%s: %s\n", name, why);
	return false;
}

/* A.B.C.D/LEN: address and mask in one. */
static bool set_address(const char *value, struct shm_config *c)
{
	char address[32], mask[32];
	const char *slash = strchr(value, '/');
	char *end = NULL;
	const long bits = slash == NULL ? -1 : strtol(slash + 1, &end, 10);

	if (bits < 1 || bits > 32 || *end != '\0' || slash[1] < '0' || slash[1] > '9' ||
		(size_t)(slash - value) >= sizeof(address)) {
		fprintf(stderr,
			"signalbox-controlplane: --address: \"%.40s\" is not A.B.C.D/LEN, such as "
			"192.0.2.1/24\n",
			value);
		return false;
	}
	snprintf(address, sizeof(address), "%.*s", (int)(slash - value), value);
	const uint32_t m = UINT32_MAX << (32 - bits);
	snprintf(mask, sizeof(mask), "%u.%u.%u.%u", m >> 24, m >> 16 & 255, m >> 8 & 255, m & 255);
	return set_key("address", address, c) && set_key("netmask", mask, c);
}

/* The whole file in memory; false: told. */
static bool read_file(const char *path, uint8_t *to, size_t *size)
{
	FILE *f = fopen(path, "rb");

	if (f == NULL) {
		fprintf(stderr, "signalbox-controlplane: %s: %s\n", path, strerror(errno));
		return false;
	}
	*size = fread(to, 1, CONFIG_FILE_MAX + 1, f);
	const bool good = ferror(f) == 0;
	if (!good)
		fprintf(stderr, "signalbox-controlplane: %s: cannot be read\n", path);
	fclose(f);
	return good;
}

static bool load(const char *path, struct shm_config *out)
{
	static uint8_t text[CONFIG_FILE_MAX + 1];
	static struct config_errors errors;
	size_t size;

	if (!read_file(path, text, &size))
		return false;
	if (config_parse(span_of(text, size), path, out, &errors) == ERR_NONE)
		return true;
	for (uint32_t i = 0; i < errors.count && i < CONFIG_ERRORS_MAX; i++)
		fprintf(stderr, "%s\n", errors.text[i]);
	if (errors.count > CONFIG_ERRORS_MAX)
		fprintf(stderr, "and %u more\n", errors.count - CONFIG_ERRORS_MAX);
	return false;
}

bool options_config(const struct options *o, struct shm_config *out)
{
	config_defaults(out);
	if (o->config != NULL && !load(o->config, out))
		return false;
	for (uint32_t i = 0; i < o->key_count; i++) {
		const char *name = o->keys[i].option;
		const bool good = strcmp(name, "address") == 0
					  ? set_address(o->keys[i].value, out)
					  : set_key(name, o->keys[i].value, out);
		if (!good)
			return false;
	}
	return true;
}

bool options_store_is_hopeless(enum err e)
{
	return e == ERR_STORAGE_CORRUPT || e == ERR_STORAGE_VERSION;
}

const char *options_store_remedy(enum err e)
{
	switch ((unsigned)e) {
	case ERR_STORAGE_FULL:
		return "make room on its disk";
	case ERR_STORAGE_CORRUPT:
		return "nothing of it is served: restore a copy, or move it away to start empty";
	case ERR_STORAGE_VERSION:
		return "run the version that wrote it, or move it away to start empty";
	default:
		return "it must be a directory on a disk that works, writable by --user, and no "
		       "other process may have it open";
	}
}
