/* impair.c - see impair.h. */
#include "controlplane/config/impair.h"

#include "controlplane/config/units.h"

#include <stddef.h>
#include <stdio.h>

enum kind { PERCENT, DELAY, SEED };

static const struct word {
	const char *name;
	enum kind kind;
	size_t offset;
} words[] = {
	{"loss", PERCENT, offsetof(struct shm_impair, loss_ppm)},
	{"delay", DELAY, offsetof(struct shm_impair, delay_us)},
	{"jitter", DELAY, offsetof(struct shm_impair, jitter_us)},
	{"reorder", PERCENT, offsetof(struct shm_impair, reorder_ppm)},
	{"duplicate", PERCENT, offsetof(struct shm_impair, duplicate_ppm)},
	{"corrupt", PERCENT, offsetof(struct shm_impair, corrupt_ppm)},
	{"seed", SEED, offsetof(struct shm_impair, seed)},
};

static const char *const wanted[] = {
	[PERCENT] = "a percentage from 0% to 100%, such as 0.1%",
	[DELAY] = "a time of at most 60s, such as 20ms",
	[SEED] = "a whole number",
};

static bool set(const struct word *w, const char *value, struct shm_impair *out)
{
	uint8_t *field = (uint8_t *)out + w->offset;
	uint64_t us;
	uint32_t v;

	if (w->kind == SEED)
		return units_count(value, (uint64_t *)(void *)field);
	if (w->kind == PERCENT) {
		if (!units_percent(value, &v))
			return false;
	} else {
		if (!units_duration(value, &us) || us > IMPAIR_DELAY_MAX_US)
			return false;
		v = (uint32_t)us;
	}
	memcpy(field, &v, sizeof(v));
	return true;
}

/* One NAME=VALUE; cuts it in two. */
static enum err parse_word(
	char *word, uint32_t *seen, struct shm_impair *out, char *why, size_t why_size)
{
	char *equals = strchr(word, '=');

	if (equals != NULL)
		*equals = '\0';
	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		if (strcmp(word, words[i].name) != 0)
			continue;
		if (equals != NULL && (*seen & 1u << i) == 0 && set(&words[i], equals + 1, out)) {
			*seen |= 1u << i;
			return ERR_NONE;
		}
		if ((*seen & 1u << i) != 0)
			snprintf(why, why_size, "%s is given twice", word);
		else
			snprintf(why, why_size, "%s wants %s", word, wanted[words[i].kind]);
		return ERR_CONFIG;
	}
	snprintf(why, why_size,
		"\"%.20s\" is no impairment; there are loss, delay, jitter, reorder, duplicate, "
		"corrupt, seed, and off",
		word);
	return ERR_CONFIG;
}

enum err impair_parse(const char *text, struct shm_impair *out, char *why, size_t why_size)
{
	char copy[IMPAIR_TEXT_MAX], *rest = copy;
	struct shm_impair read = {0};
	uint32_t seen = 0;

	if (strlen(text) >= sizeof(copy)) {
		snprintf(why, why_size, "longer than %d bytes", IMPAIR_TEXT_MAX - 1);
		return ERR_CONFIG;
	}
	if (strcmp(text, "off") != 0) {
		snprintf(copy, sizeof(copy), "%s", text);
		for (char *word; (word = strsep(&rest, ",")) != NULL;) {
			const enum err e = parse_word(word, &seen, &read, why, why_size);
			if (e != ERR_NONE)
				return e;
		}
	}
	*out = read;
	return ERR_NONE;
}

static void print_word(
	const struct word *w, const struct shm_impair *impair, char *out, size_t size)
{
	const uint8_t *field = (const uint8_t *)impair + w->offset;
	uint64_t seed;
	uint32_t v;

	memcpy(&v, field, sizeof(v));
	if (w->kind == PERCENT) {
		units_print_percent(v, out, size);
	} else if (w->kind == DELAY) {
		units_print_duration(v, out, size);
	} else {
		memcpy(&seed, field, sizeof(seed));
		snprintf(out, size, "%llu", (unsigned long long)seed);
	}
}

void impair_print(const struct shm_impair *impair, char *out, size_t size)
{
	static const struct shm_impair none;
	size_t used = 0;

	snprintf(out, size, "off");
	for (size_t i = 0; i < ARRAY_SIZE(words) && used < size; i++) {
		const size_t bytes = words[i].kind == SEED ? 8 : 4;
		char value[32];
		if (memcmp((const uint8_t *)impair + words[i].offset,
			    (const uint8_t *)&none + words[i].offset, bytes) == 0)
			continue;
		print_word(&words[i], impair, value, sizeof(value));
		const int n = snprintf(out + used, size - used, "%s%s=%s", used == 0 ? "" : ",",
			words[i].name, value);
		used += n > 0 ? (size_t)n : 0;
	}
}
