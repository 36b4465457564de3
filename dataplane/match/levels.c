/* levels.c - cutting, and the rules of 4.7 for what a topic or filter may look like. */
#include "dataplane/match/levels.h"

bool levels_cut(struct span text, struct levels *out)
{
	uint32_t count = 0;

	out->start[0] = 0;
	for (size_t i = 0; i < text.size; i++) {
		if (text.at[i] != '/')
			continue;
		if (++count == MATCH_LEVELS_MAX)
			return false;
		out->start[count] = (uint32_t)(i + 1);
	}
	out->count = count + 1;
	out->start[out->count] = (uint32_t)(text.size + 1);
	return true;
}

static bool is_wild(uint8_t c)
{
	return c == '+' || c == '#';
}

/* MQTT-5.0 4.7.1.2 and 4.7.1.3: a wildcard is a level of its own; '#' is the last one. */
static bool wild_stands_alone(struct span filter, size_t i)
{
	if (i > 0 && filter.at[i - 1] != '/')
		return false;
	if (i + 1 == filter.size)
		return true;
	return filter.at[i] == '+' && filter.at[i + 1] == '/';
}

enum err match_levels_check(struct span filter)
{
	uint32_t levels = 1;

	/* MQTT-5.0 4.7.3: at least one character, no U+0000, at most 65535 bytes. */
	if (filter.size == 0 || filter.size > MATCH_FILTER_BYTES_MAX)
		return ERR_MQTT_FILTER;
	for (size_t i = 0; i < filter.size; i++) {
		const uint8_t c = filter.at[i];
		if (c == 0)
			return ERR_MQTT_FILTER;
		if (is_wild(c) && !wild_stands_alone(filter, i))
			return ERR_MQTT_FILTER;
		levels += c == '/';
	}
	return levels > MATCH_LEVELS_MAX ? ERR_TOPIC_TOO_DEEP : ERR_NONE;
}

enum err match_topic_check(struct span topic)
{
	uint32_t levels = 1;

	if (topic.size == 0 || topic.size > MATCH_FILTER_BYTES_MAX)
		return ERR_MQTT_TOPIC;
	for (size_t i = 0; i < topic.size; i++) {
		const uint8_t c = topic.at[i];
		/* MQTT-5.0 4.7.1-1: wildcards are for filters only. */
		if (c == 0 || is_wild(c))
			return ERR_MQTT_TOPIC;
		levels += c == '/';
	}
	return levels > MATCH_LEVELS_MAX ? ERR_TOPIC_TOO_DEEP : ERR_NONE;
}
