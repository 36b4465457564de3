/* parse.c - the file: libyaml's events to keys and values, mistakes to messages. See config.h. */
#include "controlplane/config/keys.h"
#include "dataplane/base/assert.h"

#include <stdarg.h>
#include <stdio.h>
#include <yaml.h>

enum { KEYS_MAX = 64, NAME_MAX_BYTES = 64, VALUE_MAX_BYTES = 192 };

enum place { FILE_START, TOP, SECTION };

struct parser {
	yaml_parser_t yaml;
	const char *name; /* of the file */
	struct shm_config *out;
	struct config_errors *errors;
	enum place place;
	bool section_known;
	char section[NAME_MAX_BYTES];
	char key[NAME_MAX_BYTES]; /* "" while a name is awaited */
	yaml_mark_t key_mark;
	size_t line_of[KEYS_MAX];      /* where a key was given; 0: not yet */
	size_t section_line[KEYS_MAX]; /* the same for a section, by its first key */
};

PRINTF(3, 4)
static void complain(struct parser *p, yaml_mark_t at, const char *format, ...)
{
	struct config_errors *e = p->errors;
	va_list args;

	if (e->count++ >= CONFIG_ERRORS_MAX)
		return;
	char *text = e->text[e->count - 1];
	const int n = snprintf(
		text, CONFIG_ERROR_BYTES, "%.100s:%zu:%zu: ", p->name, at.line + 1, at.column + 1);
	va_start(args, format);
	/* va_start is above: NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized) */
	vsnprintf(text + n, (size_t)(CONFIG_ERROR_BYTES - n), format, args);
	va_end(args);
}

static size_t smallest(size_t a, size_t b, size_t c)
{
	const size_t ab = a < b ? a : b;
	return ab < c ? ab : c;
}

/* Letters to add, drop or change to make one of the other (Levenshtein). */
static size_t distance(const char *a, const char *b)
{
	size_t row[NAME_MAX_BYTES + 1];
	const size_t a_size = strlen(a), b_size = strlen(b);

	ASSERT(b_size <= NAME_MAX_BYTES);
	for (size_t k = 0; k <= b_size; k++)
		row[k] = k;
	for (size_t i = 1; i <= a_size; i++) {
		size_t diagonal = row[0];
		row[0] = i;
		for (size_t k = 1; k <= b_size; k++) {
			const size_t above = row[k];
			row[k] = smallest(
				above + 1, row[k - 1] + 1, diagonal + (a[i - 1] != b[k - 1]));
			diagonal = above;
		}
	}
	return row[b_size];
}

/* "tcp" of "tcp.keepalive". */
static bool in_section(const struct config_key *key, const char *section)
{
	const size_t n = strlen(section);
	return strncmp(key->name, section, n) == 0 && key->name[n] == '.';
}

/* The key that was probably meant; NULL: no idea. Right name, wrong section is the best guess. */
static const struct config_key *guess_key(const char *section, const char *name)
{
	const struct config_key *best = NULL;
	char full[2 * NAME_MAX_BYTES];
	size_t count, least = strlen(name) / 3 + 2;
	const struct config_key *keys = config_keys(&count);

	snprintf(full, sizeof(full), "%s.%s", section, name);
	for (size_t i = 0; i < count; i++) {
		const char *last = strchr(keys[i].name, '.') + 1;
		const size_t d = strcmp(last, name) == 0 ? 0 : distance(full, keys[i].name);
		if (d < least) {
			least = d;
			best = &keys[i];
		}
	}
	return best;
}

/* The section that was probably meant, as the key that starts with it. */
static const struct config_key *guess_section(const char *section)
{
	const struct config_key *best = NULL;
	size_t count, least = 3;
	const struct config_key *keys = config_keys(&count);

	for (size_t i = 0; i < count; i++) {
		char known[NAME_MAX_BYTES];
		snprintf(known, sizeof(known), "%.*s", (int)strcspn(keys[i].name, "."),
			keys[i].name);
		if (distance(section, known) < least) {
			least = distance(section, known);
			best = &keys[i];
		}
	}
	return best;
}

static void unknown_section(struct parser *p, yaml_mark_t at)
{
	const struct config_key *guess = guess_section(p->section);

	if (guess != NULL)
		complain(p, at, "%s: unknown section; did you mean %.*s?", p->section,
			(int)strcspn(guess->name, "."), guess->name);
	else
		complain(p, at,
			"%s: unknown section; signalbox-controlplane --show-config lists them all",
			p->section);
}

static void unknown_key(struct parser *p)
{
	const struct config_key *guess = guess_key(p->section, p->key);

	if (guess != NULL)
		complain(p, p->key_mark, "%s.%s: unknown key; did you mean %s?", p->section, p->key,
			guess->name);
	else
		complain(p, p->key_mark,
			"%s.%s: unknown key; signalbox-controlplane --show-config lists them all",
			p->section, p->key);
}

static void on_value(struct parser *p, const char *value, yaml_mark_t at)
{
	char full[2 * NAME_MAX_BYTES], why[CONFIG_ERROR_BYTES / 2];
	size_t count;
	const struct config_key *keys = config_keys(&count);

	if (!p->section_known)
		return; /* said already, once for all of it */
	snprintf(full, sizeof(full), "%s.%s", p->section, p->key);
	for (size_t i = 0; i < count; i++) {
		if (strcmp(keys[i].name, full) != 0)
			continue;
		if (p->line_of[i] != 0)
			complain(p, p->key_mark,
				"%s: given twice, first in line %zu; remove one of them", full,
				p->line_of[i]);
		else if (config_set(&keys[i], value, p->out, why, sizeof(why)) != ERR_NONE)
			complain(p, at, "%s: %s", full, why);
		p->line_of[i] = p->key_mark.line + 1;
		return;
	}
	unknown_key(p);
}

static void on_section(struct parser *p, const char *name, yaml_mark_t at)
{
	size_t count, first = 0;
	const struct config_key *keys = config_keys(&count);

	ASSERT(count <= KEYS_MAX);
	snprintf(p->section, sizeof(p->section), "%s", name);
	while (first < count && !in_section(&keys[first], name))
		first++;
	p->section_known = first < count;
	if (!p->section_known) {
		unknown_section(p, at);
		return;
	}
	if (p->section_line[first] != 0)
		complain(p, at, "%s: given twice, first in line %zu; put all its keys there", name,
			p->section_line[first]);
	else
		p->section_line[first] = at.line + 1;
}

/* A name: of a section at the top, of a key inside one. */
static void on_name(struct parser *p, const char *name, yaml_mark_t at)
{
	if (p->place == TOP) {
		on_section(p, name, at);
		return;
	}
	snprintf(p->key, sizeof(p->key), "%s", name);
	p->key_mark = at;
}

/* False: the file makes no sense beyond this. */
static bool on_scalar(struct parser *p, const yaml_event_t *event)
{
	const char *text = (const char *)event->data.scalar.value;
	const size_t size = event->data.scalar.length;
	const bool names = p->place == SECTION ? p->key[0] == '\0' : p->section[0] == '\0';

	if (event->data.scalar.anchor != NULL || event->data.scalar.tag != NULL) {
		complain(p, event->start_mark,
			"anchors (&name) and tags (!name) are not allowed; write the value itself");
		return false;
	}
	if (p->place == FILE_START) {
		if (size == 0)
			return true; /* an empty file is all defaults */
		complain(p, event->start_mark,
			"the file must be sections with keys; "
			"signalbox-controlplane --show-config prints one");
		return false;
	}
	if (size >= (names ? (size_t)NAME_MAX_BYTES : (size_t)VALUE_MAX_BYTES) ||
		strlen(text) != size || (names && size == 0)) {
		complain(p, event->start_mark, "this is too long, empty or not text");
		return false;
	}
	if (names) {
		on_name(p, text, event->start_mark);
	} else if (p->place == SECTION) {
		on_value(p, text, event->start_mark);
		p->key[0] = '\0';
	} else {
		/* "tcp:" with nothing behind it is an empty section. */
		if (size != 0 && p->section_known)
			complain(p, event->start_mark,
				"%s: is a section; write its keys below it, indented", p->section);
		p->section[0] = '\0';
	}
	return true;
}

static bool on_mapping(struct parser *p, const yaml_event_t *event)
{
	if (event->data.mapping_start.anchor != NULL || event->data.mapping_start.tag != NULL) {
		complain(p, event->start_mark,
			"anchors (&name) and tags (!name) are not allowed; write the value itself");
		return false;
	}
	if (p->place == FILE_START) {
		p->place = TOP;
		return true;
	}
	if (p->place == TOP && p->section[0] != '\0') {
		p->place = SECTION;
		p->key[0] = '\0';
		return true;
	}
	complain(p, event->start_mark, "%s%s%s: a single value belongs here, no keys", p->section,
		p->key[0] == '\0' ? "" : ".", p->key);
	return false;
}

static void on_mapping_end(struct parser *p)
{
	p->place = p->place == SECTION ? TOP : FILE_START;
	p->section[0] = '\0';
}

/* False: the end, or nothing more can be made of it. */
static bool on_event(struct parser *p, const yaml_event_t *event)
{
	switch (event->type) {
	case YAML_SCALAR_EVENT:
		return on_scalar(p, event);
	case YAML_MAPPING_START_EVENT:
		return on_mapping(p, event);
	case YAML_MAPPING_END_EVENT:
		on_mapping_end(p);
		return true;
	case YAML_SEQUENCE_START_EVENT:
	case YAML_SEQUENCE_END_EVENT:
		complain(
			p, event->start_mark, "lists are not allowed; a single value belongs here");
		return false;
	case YAML_ALIAS_EVENT:
		complain(p, event->start_mark,
			"aliases (*name) are not allowed; write the value itself");
		return false;
	case YAML_DOCUMENT_END_EVENT:
	case YAML_STREAM_END_EVENT:
		return false; /* one document */
	case YAML_NO_EVENT:
	case YAML_STREAM_START_EVENT:
	case YAML_DOCUMENT_START_EVENT:
		return true;
	}
	return false;
}

static void parse_events(struct parser *p)
{
	yaml_event_t event;

	for (bool go_on = true; go_on;) {
		if (!yaml_parser_parse(&p->yaml, &event)) {
			const yaml_mark_t at = p->yaml.problem_mark;
			complain(p, at, "this is not YAML: %s",
				p->yaml.problem == NULL ? "no memory" : p->yaml.problem);
			return;
		}
		go_on = on_event(p, &event);
		yaml_event_delete(&event);
	}
}

/* What no single key can know. Told without a place: several lines take part. */
static void check_together(struct parser *p)
{
	const struct shm_config *c = p->out;
	const yaml_mark_t start = {0, 0, 0};
	const uint64_t buffer = 2048;

	if ((uint64_t)c->message_buffers * buffer < c->packet_size_max)
		complain(p, start,
			"buffers.message: %u of 2KiB hold no packet of limits.packet_size, %u "
			"bytes; "
			"at least %llu are needed, or a smaller packet_size",
			c->message_buffers, c->packet_size_max,
			(unsigned long long)((c->packet_size_max + buffer - 1) / buffer));
	if (c->half_open_max > c->connections_max)
		complain(p, start,
			"limits.half_open: %u is more than limits.connections, %u; lower it",
			c->half_open_max, c->connections_max);
	if (c->takeover_timeout_us >= c->grant_timeout_us)
		complain(p, start,
			"mqtt.takeover_timeout: must be shorter than mqtt.grant_timeout, or a "
			"client "
			"that comes back hears that we are busy");
	if (c->queue_bytes_max < c->packet_size_max)
		complain(p, start,
			"limits.queue_bytes: %llu bytes hold no packet of limits.packet_size, %u "
			"bytes; "
			"raise it, or lower packet_size",
			(unsigned long long)c->queue_bytes_max, c->packet_size_max);
	if (c->filters_max > c->subscriptions_max)
		complain(p, start,
			"limits.filters: %u is more than limits.subscriptions, %u; lower it",
			c->filters_max, c->subscriptions_max);
}

enum err config_parse(
	struct span yaml, const char *name, struct shm_config *out, struct config_errors *errors)
{
	struct parser p = {.name = name, .out = out, .errors = errors};

	errors->count = 0;
	config_defaults(out);
	if (yaml.size > CONFIG_FILE_MAX) {
		complain(&p, (yaml_mark_t){0, 0, 0}, "larger than %d bytes", CONFIG_FILE_MAX);
		return ERR_CONFIG;
	}
	if (!yaml_parser_initialize(&p.yaml))
		return ERR_CONFIG;
	yaml_parser_set_input_string(&p.yaml, yaml.at, yaml.size);
	parse_events(&p);
	yaml_parser_delete(&p.yaml);
	if (errors->count == 0)
		check_together(&p);
	return errors->count == 0 ? ERR_NONE : ERR_CONFIG;
}
