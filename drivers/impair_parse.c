/* impair_parse.c - the text form of impair_settings, as given on a command line.
 *
 * Grammar: "off", or WORD=VALUE joined by commas, each word once. Percentages have at most four
 * decimals (one in a million); times are whole numbers of us, ms or s, at most a minute. */
#include "drivers/impair.h"

#include "dataplane/base/span.h"

#include <stdio.h>
#include <stdlib.h>

enum { PPM_PER_PERCENT = 10000, TIME_MAX_US = 60 * 1000 * 1000 };

static bool take_digits(struct span *s, uint64_t most, uint64_t *out)
{
	const size_t before = s->size;
	uint64_t v = 0;

	while (s->size > 0 && s->at[0] >= '0' && s->at[0] <= '9') {
		const uint64_t digit = (uint64_t)(s->at[0] - '0');
		if (v > (most - digit) / 10)
			return false;
		v = v * 10 + digit;
		*s = span_skip(*s, 1);
	}
	*out = v;
	return s->size < before;
}

static bool parse_percent(struct span s, uint32_t *ppm)
{
	uint64_t whole = 0;
	uint32_t part = 0;

	if (!take_digits(&s, 100, &whole))
		return false;
	if (s.size > 0 && s.at[0] == '.') {
		uint32_t unit = PPM_PER_PERCENT;
		for (s = span_skip(s, 1); s.size > 0 && s.at[0] >= '0' && s.at[0] <= '9';
			s = span_skip(s, 1)) {
			unit /= 10;
			if (unit == 0)
				return false;
			part += (uint32_t)(s.at[0] - '0') * unit;
		}
		if (unit == PPM_PER_PERCENT)
			return false; /* a point without decimals */
	}
	*ppm = (uint32_t)whole * PPM_PER_PERCENT + part;
	return span_equal(s, span_str("%")) && *ppm <= 100 * PPM_PER_PERCENT;
}

static bool parse_time(struct span s, uint32_t *us)
{
	static const struct {
		const char *name;
		uint32_t us;
	} units[] = {{"us", 1}, {"ms", 1000}, {"s", 1000 * 1000}};
	uint64_t v = 0;

	if (!take_digits(&s, TIME_MAX_US, &v))
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(units); i++)
		if (span_equal(s, span_str(units[i].name)) && v <= TIME_MAX_US / units[i].us) {
			*us = (uint32_t)v * units[i].us;
			return true;
		}
	return false;
}

static bool parse_seed(struct span s, uint64_t *seed)
{
	return take_digits(&s, UINT64_MAX, seed) && s.size == 0;
}

enum kind { PERCENT, TIME, SEED };

static const char *const wanted[] = {
	[PERCENT] = "a percentage from 0% to 100% with at most four decimals, as in 0.5%",
	[TIME] = "a time of at most 60s, as in 20ms, 500us or 1s",
	[SEED] = "a whole number below 2^64",
};

struct word {
	const char *name;
	enum kind kind;
	void *out;
};

static bool parse_value(const struct word *w, struct span value)
{
	if (w->kind == PERCENT)
		return parse_percent(value, w->out);
	if (w->kind == TIME)
		return parse_time(value, w->out);
	return parse_seed(value, w->out);
}

/* The part of *rest before the first `end`, which is taken too. */
static struct span take_until(struct span *rest, char end)
{
	size_t n = 0;

	while (n < rest->size && rest->at[n] != (uint8_t)end)
		n++;
	const struct span out = {rest->at, n};
	*rest = span_skip(*rest, n < rest->size ? n + 1 : n);
	return out;
}

enum err impair_parse(const char *text, struct impair_settings *out, char *why, size_t why_size)
{
	struct impair_settings s = {.seed = 1};
	const struct word words[] = {
		{"loss", PERCENT, &s.loss_ppm},
		{"reorder", PERCENT, &s.reorder_ppm},
		{"duplicate", PERCENT, &s.duplicate_ppm},
		{"corrupt", PERCENT, &s.corrupt_ppm},
		{"delay", TIME, &s.delay_us},
		{"jitter", TIME, &s.jitter_us},
		{"seed", SEED, &s.seed},
	};
	unsigned seen = 0;
	struct span rest = span_str(text);
	bool more = strcmp(text, "off") != 0;

	while (more) {
		struct span item = take_until(&rest, ',');
		more = rest.size > 0 || (rest.at > item.at && rest.at[-1] == ',');
		const struct span name = take_until(&item, '=');
		size_t i = 0;
		while (i < ARRAY_SIZE(words) && !span_equal(name, span_str(words[i].name)))
			i++;
		if (i == ARRAY_SIZE(words)) {
			snprintf(why, why_size,
				"\"%.*s\" is none of loss, reorder, duplicate, corrupt, delay, "
				"jitter, seed; \"off\" stands alone",
				(int)name.size, (const char *)name.at);
			return ERR_NIC_CONFIG;
		}
		if ((seen & 1u << i) != 0) {
			snprintf(why, why_size, "%s is given twice", words[i].name);
			return ERR_NIC_CONFIG;
		}
		seen |= 1u << i;
		if (!parse_value(&words[i], item)) {
			snprintf(why, why_size, "%s=%.*s: %s is wanted", words[i].name,
				(int)item.size, (const char *)item.at, wanted[words[i].kind]);
			return ERR_NIC_CONFIG;
		}
	}
	*out = s;
	if (why_size > 0)
		why[0] = '\0';
	return ERR_NONE;
}
