/* units.c - see units.h. */
#include "controlplane/config/units.h"

#include <stdio.h>

struct unit {
	const char *name;
	uint64_t factor;
};

static const struct unit sizes[] = {{"GiB", GIB}, {"MiB", MIB}, {"KiB", KIB}, {"", 1}};
static const struct unit durations[] = {
	{"h", HOUR}, {"min", MINUTE}, {"s", SECOND}, {"ms", MS}, {"us", US}};

/* Digits at *at, which moves behind them; at least one, at most `max`. */
static bool take_number(const char **at, uint64_t max, uint64_t *out)
{
	const char *p = *at;
	uint64_t v = 0;

	for (; *p >= '0' && *p <= '9'; p++) {
		const uint64_t digit = (uint64_t)(*p - '0');
		if (v > max / 10 || v * 10 > max - digit)
			return false;
		v = v * 10 + digit;
	}
	if (p == *at)
		return false;
	*at = p;
	*out = v;
	return true;
}

static bool with_unit(const char *text, const struct unit *units, size_t count, uint64_t *out)
{
	uint64_t v;

	if (!take_number(&text, UINT64_MAX, &v))
		return false;
	if (*text == ' ')
		text++;
	for (size_t i = 0; i < count; i++) {
		if (strcmp(text, units[i].name) != 0)
			continue;
		if (v > UINT64_MAX / units[i].factor)
			return false;
		*out = v * units[i].factor;
		return true;
	}
	/* Nothing takes no time in any unit. */
	*out = 0;
	return v == 0 && *text == '\0';
}

bool units_count(const char *text, uint64_t *out)
{
	return take_number(&text, UINT64_MAX, out) && *text == '\0';
}

bool units_size(const char *text, uint64_t *bytes)
{
	return with_unit(text, sizes, ARRAY_SIZE(sizes), bytes);
}

bool units_duration(const char *text, uint64_t *us)
{
	return with_unit(text, durations, ARRAY_SIZE(durations), us);
}

bool units_address(const char *text, uint32_t *network)
{
	uint8_t bytes[4];

	for (int i = 0; i < 4; i++) {
		uint64_t v;
		if (i > 0 && *text++ != '.')
			return false;
		if (!take_number(&text, 255, &v))
			return false;
		bytes[i] = (uint8_t)v;
	}
	memcpy(network, bytes, sizeof(*network));
	return *text == '\0';
}

bool units_percent(const char *text, uint32_t *ppm)
{
	uint64_t whole, parts = 0, scale = 10000;

	if (!take_number(&text, 100, &whole))
		return false;
	if (*text == '.') {
		for (text++; *text >= '0' && *text <= '9' && scale > 1; text++) {
			scale /= 10;
			parts += (uint64_t)(*text - '0') * scale;
		}
		if (scale == 10000)
			return false;
	}
	*ppm = (uint32_t)(whole * 10000 + parts);
	return strcmp(text, "%") == 0 && *ppm <= 1000000;
}

static void print(uint64_t v, const struct unit *units, size_t count, char *out, size_t size)
{
	size_t i = 0;

	while (i + 1 < count && (v == 0 || v % units[i].factor != 0))
		i++;
	snprintf(out, size, "%llu%s", (unsigned long long)(v / units[i].factor), units[i].name);
}

void units_print_size(uint64_t bytes, char *out, size_t size)
{
	print(bytes, sizes, ARRAY_SIZE(sizes), out, size);
}

void units_print_duration(uint64_t us, char *out, size_t size)
{
	print(us, durations, ARRAY_SIZE(durations), out, size);
}

void units_print_address(uint32_t network, char *out, size_t size)
{
	uint8_t b[4];

	memcpy(b, &network, sizeof(b));
	snprintf(out, size, "%u.%u.%u.%u", b[0], b[1], b[2], b[3]);
}

void units_print_percent(uint32_t ppm, char *out, size_t size)
{
	char digits[8] = "";
	uint32_t parts = ppm % 10000;

	if (parts != 0) {
		snprintf(digits, sizeof(digits), ".%04u", parts);
		for (size_t n = strlen(digits); n > 0 && digits[n - 1] == '0'; n--)
			digits[n - 1] = '\0';
	}
	snprintf(out, size, "%u%s%%", ppm / 10000, digits);
}
