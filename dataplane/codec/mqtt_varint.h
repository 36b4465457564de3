/* mqtt_varint.h - variable byte integers, MQTT 5.0 1.5.5.
 *
 * Inside of the codec: nobody else includes this. Seven bits a byte, low first,
 * top bit means more. Longer than needed is let pass: no ambiguity follows. */
#pragma once
#include "dataplane/base/writer.h"

enum { MQTT_VARINT_BYTES_MAX = 4, MQTT_VARINT_ENDLESS = -1 };

/* Answers the bytes it took, 0 when the end is not here yet, or MQTT_VARINT_ENDLESS. */
static inline int mqtt_varint(const uint8_t *at, size_t left, uint32_t *value)
{
	*value = 0;
	for (size_t i = 0; i < MQTT_VARINT_BYTES_MAX; i++) {
		if (i == left)
			return 0;
		*value |= (uint32_t)(at[i] & 0x7f) << (7 * i);
		if ((at[i] & 0x80) == 0)
			return (int)i + 1;
	}
	return MQTT_VARINT_ENDLESS;
}

static inline size_t mqtt_varint_size(uint32_t value)
{
	return value < 1u << 7 ? 1 : value < 1u << 14 ? 2 : value < 1u << 21 ? 3 : 4;
}

static inline void mqtt_write_varint(struct writer *w, uint32_t value)
{
	for (; value > 0x7f; value >>= 7)
		write_u8(w, (uint8_t)(value | 0x80));
	write_u8(w, (uint8_t)value);
}
