/* mqtt_props_test.c - MQTT 5.0 properties: table 2-4 once more, tried in every packet. */
#include "dataplane/base/attr.h"
#include "dataplane/codec/hex.h"
#include "dataplane/codec/mqtt_any.h"
#include "dataplane/codec/mqtt_vectors.h"
#include "tests/unit/unit.h"

enum { PLACES = 15, WILL = 0, AUTH_METHOD = 21, AUTH_DATA = 22, IDENTIFIERS = 128 };

static const struct mqtt_limits roomy = {1 << 20, 4096};

/* A packet around a property block, and the letter that stands for it in the rows below. */
struct place {
	char letter;
	uint8_t first;
	const char *before, *after;
};

static const struct place places[PLACES] = {
	[WILL] = {'W', 0x10, "00 04 'MQTT' 05 06 00 3c 00 00 01 'd'", "00 01 'w' 00 00"},
	[MQTT_CONNECT] = {'C', 0x10, "00 04 'MQTT' 05 02 00 3c", "00 01 'd'"},
	[MQTT_CONNACK] = {'c', 0x20, "00 00", ""},
	[MQTT_PUBLISH] = {'P', 0x30, "00 01 'a'", ""},
	[MQTT_PUBACK] = {'1', 0x40, "00 01 00", ""},
	[MQTT_PUBREC] = {'2', 0x50, "00 01 00", ""},
	[MQTT_PUBREL] = {'3', 0x62, "00 01 00", ""},
	[MQTT_PUBCOMP] = {'4', 0x70, "00 01 00", ""},
	[MQTT_SUBSCRIBE] = {'S', 0x82, "00 01", "00 01 'a' 00"},
	[MQTT_SUBACK] = {'s', 0x90, "00 01", "00"},
	[MQTT_UNSUBSCRIBE] = {'U', 0xa2, "00 01", "00 01 'a'"},
	[MQTT_UNSUBACK] = {'u', 0xb0, "00 01", "00"},
	[MQTT_DISCONNECT] = {'D', 0xe0, "00", ""},
};
static const struct place auth = {'A', 0xf0, "18", ""};

struct row {
	const char *hex;     /* the value, without identifier */
	const char *letters; /* of the packets that may carry it */
	size_t offset, size; /* of the field; size 0: a span */
	uint32_t number;     /* what is decoded: a number, or the span's size */
	bool bad_at_two;     /* a byte that must be 0 or 1 */
};

#define AT(field)      offsetof(struct mqtt_props, field), sizeof(((struct mqtt_props *)0)->field)
#define SPAN_AT(field) offsetof(struct mqtt_props, field), 0

static const struct row rows[IDENTIFIERS] = {
	[1] = {"01", "PW", AT(payload_format), 1, true},
	[2] = {"00 01 02 03", "PW", AT(message_expiry_s), 0x010203, false},
	[3] = {"00 02 'ct'", "PW", SPAN_AT(content_type), 2, false},
	[8] = {"00 03 'r/t'", "PW", SPAN_AT(response_topic), 3, false},
	[9] = {"00 04 00 ff 80 00", "PW", SPAN_AT(correlation), 4, false},
	[11] = {"ff ff ff 7f", "PS", AT(subscription_ids[0]), 268435455, false},
	[17] = {"ff ff ff ff", "CcD", AT(session_expiry_s), UINT32_MAX, false},
	[18] = {"00 05 'given'", "c", SPAN_AT(assigned_client_id), 5, false},
	[19] = {"01 02", "c", AT(server_keepalive_s), 0x0102, false},
	[21] = {"00 06 'method'", "CcA", SPAN_AT(auth_method), 6, false},
	[22] = {"00 01 00", "CcA", SPAN_AT(auth_data), 1, false},
	[23] = {"00", "C", AT(request_problem), 0, true},
	[24] = {"80 00 00 01", "W", AT(will_delay_s), 0x80000001, false},
	[25] = {"01", "C", AT(request_response), 1, true},
	[26] = {"00 02 'ri'", "c", SPAN_AT(response_info), 2, false},
	[28] = {"00 02 'sr'", "cD", SPAN_AT(server_reference), 2, false},
	[31] = {"00 03 'why'", "c1234suDA", SPAN_AT(reason_string), 3, false},
	[33] = {"ff fe", "Cc", AT(receive_max), 0xfffe, false},
	[34] = {"ff ff", "Cc", AT(topic_alias_max), 0xffff, false},
	[35] = {"00 01", "P", AT(topic_alias), 1, false},
	[36] = {"01", "c", AT(qos_max), 1, true},
	[37] = {"00", "c", AT(retain_available), 0, true},
	[38] = {"00 01 'k' 00 02 'va'", "CcPW1234SsUuDA", SPAN_AT(user), 7, false},
	[39] = {"00 00 00 01", "Cc", AT(packet_size_max), 1, false},
	[40] = {"00", "c", AT(wildcard_available), 0, true},
	[41] = {"00", "c", AT(sub_ids_available), 0, true},
	[42] = {"00", "c", AT(shared_available), 0, true},
};

static const struct place *place_of(size_t i)
{
	return i == PLACES ? &auth : &places[i];
}

static bool may_carry(const struct place *place, unsigned int id)
{
	return rows[id].letters != NULL && strchr(rows[id].letters, place->letter) != NULL;
}

/* Builds the packet around the block and decodes it, properties to `out`. */
static enum err decode_block(const struct place *place, struct span block, struct mqtt_props *out)
{
	static uint8_t body[1024], packet[1024]; /* views in `out` point here */
	uint8_t scratch[64];
	struct writer w = writer_of(body, sizeof(body));
	struct mqtt_frame f;
	struct mqtt_any any;

	write_bytes(&w, hex_read(place->before, scratch, sizeof(scratch)));
	if (block.size > 127)
		write_u8(&w, (uint8_t)(block.size | 0x80));
	write_u8(&w, (uint8_t)(block.size > 127 ? block.size >> 7 : block.size));
	write_bytes(&w, block);
	write_bytes(&w, hex_read(place->after, scratch, sizeof(scratch)));
	const struct span all = writer_span(&w);

	w = writer_of(packet, sizeof(packet));
	write_u8(&w, place->first);
	write_u8(&w, (uint8_t)(all.size | 0x80));
	write_u8(&w, (uint8_t)(all.size >> 7));
	write_bytes(&w, all);
	const struct decoded d = mqtt_decode(writer_span(&w), MQTT_V5, &roomy, &f);
	CU_ASSERT_EQUAL_FATAL(d.verdict, DECODE_DONE);
	const enum err e = mqtt_any_decode(&f, MQTT_V5, &any);
	if (place == &places[WILL])
		*out = any.connect.will_props;
	else
		*out = *mqtt_any_props(&any);
	return e;
}

/* Identifier and value, `times` times; where the packet asks for it, a method beside them. */
static struct span block_of(const struct place *place, unsigned int id, struct span value,
	unsigned int times, uint8_t *bytes, size_t size_max)
{
	struct writer w = writer_of(bytes, size_max);
	uint8_t scratch[16];

	if (id != AUTH_METHOD &&
		(place->letter == 'A' || (place->letter == 'C' && id == AUTH_DATA)))
		write_bytes(&w, hex_read("15 00 01 'm'", scratch, sizeof(scratch)));
	for (unsigned int i = 0; i < times; i++) {
		write_u8(&w, (uint8_t)id);
		write_bytes(&w, value);
	}
	CU_ASSERT_FATAL(!w.bad);
	return writer_span(&w);
}

static enum err decode_value(const struct place *place, unsigned int id, struct span value,
	unsigned int times, struct mqtt_props *out)
{
	uint8_t bytes[128];
	return decode_block(place, block_of(place, id, value, times, bytes, sizeof(bytes)), out);
}

static struct span value_of(unsigned int id, uint8_t *bytes)
{
	return hex_read(rows[id].hex == NULL ? "" : rows[id].hex, bytes, 32);
}

static uint32_t number_in(const struct mqtt_props *p, const struct row *row)
{
	const uint8_t *field = (const uint8_t *)p + row->offset;

	switch (row->size) {
	case 0:
		return (uint32_t)((const struct span *)(const void *)field)->size;
	case 1:
		return *field;
	case 2:
		return *(const uint16_t *)(const void *)field;
	default:
		return *(const uint32_t *)(const void *)field;
	}
}

static void each_is_allowed_where_table_2_4_says(void)
{
	for (size_t i = 0; i <= PLACES; i++)
		for (unsigned int id = 0; id < IDENTIFIERS; id++) {
			const struct place *place = place_of(i);
			uint8_t bytes[32];
			struct mqtt_props p;
			if (place->letter == 0)
				continue;
			const enum err e = decode_value(place, id, value_of(id, bytes), 1, &p);
			if (!may_carry(place, id)) {
				CU_ASSERT_EQUAL(e, ERR_MQTT_PROPERTY);
				continue;
			}
			CU_ASSERT_EQUAL(e, ERR_NONE);
			CU_ASSERT(mqtt_props_has(&p, id));
			CU_ASSERT_EQUAL(number_in(&p, &rows[id]), rows[id].number);
		}
}

static void none_comes_twice_but_those_that_may(void)
{
	for (size_t i = 0; i <= PLACES; i++)
		for (unsigned int id = 0; id < IDENTIFIERS; id++) {
			const struct place *place = place_of(i);
			const bool repeats = id == 38 || (id == 11 && place->letter == 'P');
			uint8_t bytes[32];
			struct mqtt_props p;
			if (place->letter == 0 || !may_carry(place, id))
				continue;
			CU_ASSERT_EQUAL(decode_value(place, id, value_of(id, bytes), 2, &p),
				repeats ? ERR_NONE : ERR_MQTT_PROPERTY_TWICE);
		}
}

static void a_value_ends_inside_the_block(void)
{
	for (size_t i = 0; i <= PLACES; i++)
		for (unsigned int id = 0; id < IDENTIFIERS; id++) {
			const struct place *place = place_of(i);
			uint8_t bytes[32];
			struct span value = value_of(id, bytes);
			struct mqtt_props p;
			if (place->letter == 0 || !may_carry(place, id))
				continue;
			while (value.size-- > 0)
				CU_ASSERT_EQUAL(
					decode_value(place, id, value, 1, &p), ERR_MQTT_PROPERTY);
		}
}

static void a_byte_is_0_or_1(void)
{
	for (unsigned int id = 0; id < IDENTIFIERS; id++)
		for (unsigned int n = 0; n < 256 && rows[id].bad_at_two; n++) {
			const uint8_t byte = (uint8_t)n;
			struct mqtt_props p;
			size_t i = 0;
			while (!may_carry(place_of(i), id))
				i++;
			CU_ASSERT_EQUAL(decode_value(place_of(i), id, span_of(&byte, 1), 1, &p),
				n > 1 ? ERR_MQTT_PROTOCOL : ERR_NONE);
		}
}

/* A struct of rubbish, so that a forgotten field shows. */
static void check_defaults(const struct mqtt_props *p)
{
	CU_ASSERT_EQUAL(p->has, 0);
	CU_ASSERT_EQUAL(p->session_expiry_s, 0);
	CU_ASSERT_EQUAL(p->message_expiry_s, 0);
	CU_ASSERT_EQUAL(p->will_delay_s, 0);
	CU_ASSERT_EQUAL(p->packet_size_max, 0);
	CU_ASSERT_EQUAL(p->subscription_id_count, 0);
	CU_ASSERT_EQUAL(p->subscription_ids[0] | p->subscription_ids[MQTT_SUB_IDS_MAX - 1], 0);
	CU_ASSERT_EQUAL(p->payload_format, 0);
	CU_ASSERT_EQUAL(p->request_problem, 1);
	CU_ASSERT_EQUAL(p->request_response, 0);
	CU_ASSERT_EQUAL(p->qos_max, 2);
	CU_ASSERT_EQUAL(p->retain_available, 1);
	CU_ASSERT_EQUAL(p->wildcard_available, 1);
	CU_ASSERT_EQUAL(p->sub_ids_available, 1);
	CU_ASSERT_EQUAL(p->shared_available, 1);
	CU_ASSERT_EQUAL(p->user_split, false);
	CU_ASSERT_EQUAL(p->server_keepalive_s, 0);
	CU_ASSERT_EQUAL(p->receive_max, 65535);
	CU_ASSERT_EQUAL(p->topic_alias_max, 0);
	CU_ASSERT_EQUAL(p->topic_alias, 0);
	for (unsigned int id = 0; id < IDENTIFIERS; id++)
		if (rows[id].letters != NULL && rows[id].size == 0)
			CU_ASSERT_EQUAL(number_in(p, &rows[id]), 0);
	CU_ASSERT_EQUAL(p->raw.size, 0);
}

static void what_is_absent_has_its_default(void)
{
	uint8_t bytes[MQTT_VECTOR_SIZE_MAX];
	struct mqtt_props p;

	memset(&p, 0xa5, sizeof(p));
	mqtt_props_init(&p);
	check_defaults(&p);
	for (size_t i = 0; i < mqtt_good_count; i++) {
		const struct span in = hex_read(mqtt_good[i].hex, bytes, sizeof(bytes));
		struct mqtt_frame f;
		struct mqtt_any any;
		memset(&any, 0xa5, sizeof(any));
		const struct decoded d = mqtt_decode(in, mqtt_good[i].version, &roomy, &f);
		CU_ASSERT_EQUAL_FATAL(d.verdict, DECODE_DONE);
		CU_ASSERT_EQUAL(mqtt_any_decode(&f, mqtt_good[i].version, &any), ERR_NONE);
		const struct mqtt_props *props = mqtt_any_props(&any);
		if (props != NULL && (mqtt_good[i].version < MQTT_V5 || props->raw.size == 0))
			check_defaults(props);
	}
}

static struct mqtt_props decode_publish_props(const char *hex)
{
	static uint8_t bytes[256];
	struct mqtt_props p;
	const struct span block = hex_read(hex, bytes, sizeof(bytes));

	CU_ASSERT_EQUAL_FATAL(decode_block(&places[MQTT_PUBLISH], block, &p), ERR_NONE);
	return p;
}

static void user_pairs_are_walked_in_order(void)
{
	const struct mqtt_props p = decode_publish_props(
		"26 00 01 'a' 00 01 '1' 01 01 02 00 00 00 26 09 00 01 26 0b 85 01 23 00 26 "
		"26 00 00 00 00 03 00 01 26 26 00 01 'a' 00 01 '2' 08 00 01 'r'");
	struct reader raw = reader_of(p.raw);
	struct span key, value;

	CU_ASSERT(p.user_split);
	CU_ASSERT_EQUAL(p.user.size, 0);
	CU_ASSERT(mqtt_next_user(&raw, &key, &value));
	CU_ASSERT(span_equal(key, span_str("a")) && span_equal(value, span_str("1")));
	CU_ASSERT(mqtt_next_user(&raw, &key, &value));
	CU_ASSERT_EQUAL(key.size + value.size, 0);
	CU_ASSERT(mqtt_next_user(&raw, &key, &value));
	CU_ASSERT(span_equal(key, span_str("a")) && span_equal(value, span_str("2")));
	CU_ASSERT(!mqtt_next_user(&raw, &key, &value));
	CU_ASSERT(!mqtt_next_user(&raw, &key, &value));
}

static void user_pairs_are_joined(void)
{
	const struct mqtt_props one = decode_publish_props("26 00 01 'k' 00 02 'va'");
	const struct mqtt_props two =
		decode_publish_props("26 00 01 'k' 00 02 'va' 01 00 26 00 01 'l' 00 00");
	uint8_t joined[64], expected[64];
	const struct span pair = hex_read("00 01 'k' 00 02 'va'", expected, sizeof(expected));

	CU_ASSERT(!one.user_split);
	CU_ASSERT(span_equal(one.user, pair));
	struct writer w = writer_of(joined, sizeof(joined));
	mqtt_join_user(&w, &one);
	CU_ASSERT(span_equal(writer_span(&w), pair));

	w = writer_of(joined, two.raw.size);
	mqtt_join_user(&w, &two);
	CU_ASSERT(!w.bad);
	CU_ASSERT(span_equal(writer_span(&w),
		hex_read("00 01 'k' 00 02 'va' 00 01 'l' 00 00", expected, sizeof(expected))));
}

static void joined_pairs_are_encoded_with_identifiers(void)
{
	uint8_t pairs[64], packet[64], expected[64];
	struct mqtt_publish p = {.topic = span_str("a")};

	p.props.has = 1ull << MQTT_PROPERTY_USER;
	p.props.user = hex_read("00 01 'k' 00 02 'va' 00 01 'l' 00 00", pairs, sizeof(pairs));
	struct writer w = writer_of(packet, sizeof(packet));
	mqtt_encode_publish(&w, MQTT_V5, &p, 0);
	CU_ASSERT(span_equal(writer_span(&w),
		hex_read("30 12 00 01 'a' 0e 26 00 01 'k' 00 02 'va' 26 00 01 'l' 00 00", expected,
			sizeof(expected))));
}

static void more_subscription_ids_than_are_kept(void)
{
	const struct mqtt_props p = decode_publish_props(
		"0b 01 0b 02 0b 03 0b 04 0b 05 0b 06 0b 07 0b 80 01 0b 09 0b 0a");

	CU_ASSERT(mqtt_props_has(&p, MQTT_PROPERTY_SUBSCRIPTION_ID));
	CU_ASSERT_EQUAL(p.subscription_id_count, MQTT_SUB_IDS_MAX);
	CU_ASSERT_EQUAL(p.subscription_ids[0], 1);
	CU_ASSERT_EQUAL(p.subscription_ids[7], 128);
}

/* A subscription id that is refused is refused also where it would not be kept. */
static void the_ninth_subscription_id_is_checked(void)
{
	uint8_t bytes[64];
	struct mqtt_props p;
	const struct span block = hex_read(
		"0b 01 0b 02 0b 03 0b 04 0b 05 0b 06 0b 07 0b 08 0b 00", bytes, sizeof(bytes));

	CU_ASSERT_EQUAL(decode_block(&places[MQTT_PUBLISH], block, &p), ERR_MQTT_PROTOCOL);
}

static void a_walk_over_rubbish_ends(void)
{
	static const char *const rubbish[] = {"", "00", "04 00", "7f", "26", "26 00",
		"26 00 05 'k'", "26 00 01 'k'", "26 00 01 'k' 00 02 'v'", "ff ff ff ff ff", "a6",
		"11 00 00", "03 00 09"};
	struct span key, value;

	for (size_t i = 0; i < ARRAY_SIZE(rubbish); i++) {
		uint8_t bytes[32];
		struct reader raw = reader_of(hex_read(rubbish[i], bytes, sizeof(bytes)));
		CU_ASSERT(!mqtt_next_user(&raw, &key, &value));
		CU_ASSERT(!mqtt_next_user(&raw, &key, &value));
	}
}

static const struct unit_test tests[] = {
	{"each_is_allowed_where_table_2_4_says", each_is_allowed_where_table_2_4_says},
	{"none_comes_twice_but_those_that_may", none_comes_twice_but_those_that_may},
	{"a_value_ends_inside_the_block", a_value_ends_inside_the_block},
	{"a_byte_is_0_or_1", a_byte_is_0_or_1},
	{"what_is_absent_has_its_default", what_is_absent_has_its_default},
	{"user_pairs_are_walked_in_order", user_pairs_are_walked_in_order},
	{"user_pairs_are_joined", user_pairs_are_joined},
	{"joined_pairs_are_encoded_with_identifiers", joined_pairs_are_encoded_with_identifiers},
	{"more_subscription_ids_than_are_kept", more_subscription_ids_than_are_kept},
	{"the_ninth_subscription_id_is_checked", the_ninth_subscription_id_is_checked},
	{"a_walk_over_rubbish_ends", a_walk_over_rubbish_ends},
};

int main(int argc, char **argv)
{
	return UNIT_MAIN("mqtt_props", tests, argc, argv);
}
