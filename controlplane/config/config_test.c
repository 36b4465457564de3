/* config_test.c - the configuration file: what is read, and word for word what is said about
 * mistakes. */
#include "controlplane/config/config.h"

#include "controlplane/config/impair.h"
#include "controlplane/config/prefixes.h"
#include "controlplane/config/units.h"
#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>

static struct config_errors errors;

static enum err parse(const char *yaml, struct shm_config *out)
{
	return config_parse(span_str(yaml), "box.yaml", out, &errors);
}

static void an_empty_file_is_all_defaults(void)
{
	static const char *const rows[] = {
		"", "# nothing\n", "---\n", "mqtt:\n", "{}", "tcp: {}\n"};
	struct shm_config defaults, read;

	config_defaults(&defaults);
	CU_ASSERT(defaults.mqtt_port == 1883 && defaults.connections_max == 20000);
	CU_ASSERT(defaults.receive_window_max == 256 * KIB && defaults.mtu == 1500);
	CU_ASSERT(defaults.tcp_keepalive_us == 120 * SECOND && defaults.idle_spin_us == 100);
	CU_ASSERT_STRING_EQUAL(defaults.nic, "tap");
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		CU_ASSERT(parse(rows[i], &read) == ERR_NONE);
		CU_ASSERT(memcmp(&read, &defaults, sizeof(read)) == 0);
	}
}

static void values_are_read_in_their_units(void)
{
	struct shm_config c;

	CU_ASSERT(parse("limits:\n"
			"  connections: 7\n"
			"  half_open: 7\n"
			"  packet_size: 64 KiB\n"
			"tcp: {receive_window: 1MiB, keepalive: 2min, time_wait: 0}\n"
			"mqtt:\n"
			"  port: '8883'\n"
			"  keepalive_max: 1h\n"
			"idle:\n"
			"  spin: 5us\n"
			"net:\n"
			"  nic: af_packet\n"
			"  interface: no\n"
			"  address: 10.1.2.3\n"
			"  impair: loss=5%,delay=20ms,seed=7\n",
			  &c) == ERR_NONE);
	CU_ASSERT(c.connections_max == 7 && c.packet_size_max == 65536);
	CU_ASSERT(c.receive_window_max == MIB && c.tcp_keepalive_us == 2 * MINUTE);
	CU_ASSERT(c.time_wait_us == 0 && c.mqtt_port == 8883 && c.keepalive_max_s == 3600);
	CU_ASSERT(c.idle_spin_us == 5);
	CU_ASSERT_STRING_EQUAL(c.interface, "no"); /* a text, not a boolean */
	CU_ASSERT_STRING_EQUAL(c.nic, "af_packet");
	CU_ASSERT(memcmp(&c.address, (const uint8_t[]){10, 1, 2, 3}, 4) == 0);
	CU_ASSERT(c.impair.loss_ppm == 50000 && c.impair.delay_us == 20000 && c.impair.seed == 7);
}

static void a_choice_is_one_of_its_words(void)
{
	static const char *const words[] = {"synced", "journal", "memory"};
	struct shm_config c;
	char yaml[64];

	config_defaults(&c);
	CU_ASSERT_STRING_EQUAL(c.durability, "synced");
	CU_ASSERT_STRING_EQUAL(c.congestion, "cubic");
	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		snprintf(yaml, sizeof(yaml), "storage:\n  durability: %s\n", words[i]);
		CU_ASSERT(parse(yaml, &c) == ERR_NONE);
		CU_ASSERT_STRING_EQUAL(c.durability, words[i]);
	}
	CU_ASSERT(parse("tcp:\n  congestion: newreno\n", &c) == ERR_NONE);
	CU_ASSERT_STRING_EQUAL(c.congestion, "newreno");
}

/* 112 bytes */
#define NAME_28   "a_name_that_is_much_longer__"
#define LONG_NAME NAME_28 NAME_28 NAME_28 NAME_28

static const struct {
	const char *yaml, *said;
} mistakes[] = {
	{"mqtt:\n  port: 70000\n",
		"box.yaml:2:9: mqtt.port: 70000 is out of range; 1 to 65535, default 1883"},
	{"mqtt:\n  port: yes\n",
		"box.yaml:2:9: mqtt.port: \"yes\" is not a whole number; 1 to 65535"},
	{"mqtt:\n  port: -1\n",
		"box.yaml:2:9: mqtt.port: \"-1\" is not a whole number; 1 to 65535"},
	{"mqtt:\n  port:\n", "box.yaml:2:8: mqtt.port: \"\" is not a whole number; 1 to 65535"},
	{"mqtt:\n  port: 99999999999999999999\n",
		"box.yaml:2:9: mqtt.port: \"99999999999999999999\" is not a whole number; 1 to "
		"65535"},
	{"tcp:\n  receive_window: 12x\n", "box.yaml:2:19: tcp.receive_window: \"12x\" is not a "
					  "size: a whole number of bytes, or "
					  "with KiB, MiB or GiB behind it; 4KiB to 16MiB"},
	{"tcp:\n  receive_window: 1KiB\n",
		"box.yaml:2:19: tcp.receive_window: 1KiB is out of range; 4KiB to 16MiB, default "
		"256KiB"},
	{"tcp:\n  keepalive: 120\n", "box.yaml:2:14: tcp.keepalive: \"120\" is not a time: a whole "
				     "number with us, ms, s, min "
				     "or h behind it; 1s to 24h"},
	{"mqtt:\n  keepalive_max: 1500ms\n", "box.yaml:2:18: mqtt.keepalive_max: \"1500ms\" is not "
					     "a time in whole seconds: a whole "
					     "number with s, min or h behind it; 0s to 65535s"},
	{"tcp:\n  keepalife: 2s\n",
		"box.yaml:2:3: tcp.keepalife: unknown key; did you mean tcp.keepalive?"},
	{"limits:\n  port: 1\n", "box.yaml:2:3: limits.port: unknown key; did you mean mqtt.port?"},
	{"tcp:\n  colour: red\n", "box.yaml:2:3: tcp.colour: unknown key; signalbox-controlplane "
				  "--show-config lists them "
				  "all"},
	{"tpc:\n  keepalive: 2s\n  colour: red\n",
		"box.yaml:1:1: tpc: unknown section; did you mean tcp?"},
	{"bananas:\n  a: 1\n", "box.yaml:1:1: bananas: unknown section; signalbox-controlplane "
			       "--show-config lists "
			       "them all"},
	{"mqtt:\n  port: 1\n  port: 2\n",
		"box.yaml:3:3: mqtt.port: given twice, first in line 2; remove one of them"},
	{"mqtt:\n  port: 1\ntcp:\n  time_wait: 1s\nmqtt:\n  park_timeout: 1s\n",
		"box.yaml:5:1: mqtt: given twice, first in line 1; put all its keys there"},
	{"mqtt:\n  port: &p 1\n", "box.yaml:2:9: anchors (&name) and tags (!name) are not allowed; "
				  "write the value itself"},
	{"mqtt:\n  port: !!int 1\n", "box.yaml:2:9: anchors (&name) and tags (!name) are not "
				     "allowed; write the value itself"},
	{"mqtt: &m\n  port: 1\n", "box.yaml:1:7: anchors (&name) and tags (!name) are not allowed; "
				  "write the value itself"},
	{"mqtt:\n  port: *p\n",
		"box.yaml:2:9: aliases (*name) are not allowed; write the value itself"},
	{"mqtt:\n  port: [1, 2]\n",
		"box.yaml:2:9: lists are not allowed; a single value belongs here"},
	{"mqtt:\n  port:\n    number: 1\n",
		"box.yaml:3:5: mqtt.port: a single value belongs here, no keys"},
	{"mqtt: 1883\n", "box.yaml:1:7: mqtt: is a section; write its keys below it, indented"},
	{"1883\n", "box.yaml:1:1: the file must be sections with keys; signalbox-controlplane "
		   "--show-config "
		   "prints one"},
	{"mqtt:\n  port: \"1883\n",
		"box.yaml:3:1: this is not YAML: found unexpected end of stream"},
	{"net:\n  address: 10.0.0\n",
		"box.yaml:2:12: net.address: \"10.0.0\" is not an IPv4 address, such as 192.0.2.1"},
	{"storage:\n  durability: sync\n", "box.yaml:2:15: storage.durability: \"sync\" is not "
					   "synced, journal or memory"},
	{"storage:\n  durability: synced journal\n",
		"box.yaml:2:15: storage.durability: \"synced journal\" is not synced, journal or "
		"memory"},
	{"storage:\n  durability:\n",
		"box.yaml:2:14: storage.durability: \"\" is not synced, journal or memory"},
	{"net:\n  nic: no\n",
		"box.yaml:2:8: net.nic: \"no\" is not tap, af_packet, af_xdp, memif, pcap or pci"},
	{"limits:\n  queue_bytes: 1MiB\n", "box.yaml:1:1: limits.queue_bytes: 1048576 bytes hold "
					   "no packet of limits.packet_size, "
					   "16777216 bytes; raise it, or lower packet_size"},
	{"net:\n  interface: " LONG_NAME "\n",
		"box.yaml:2:14: net.interface: \"a_name_that_is_much_longer__a_name_that_\" is not "
		"at most 111 letters, digits and signs"},
	{"net:\n  interface: 'a b'\n", "box.yaml:2:14: net.interface: \"a b\" is not at most 111 "
				       "letters, digits and signs"},
	{"net:\n  impair: loss=200%\n",
		"box.yaml:2:11: net.impair: loss wants a percentage from 0% to 100%, such as 0.1%"},
	{"limits:\n  packet_size: 256MiB\n",
		"box.yaml:1:1: buffers.message: 32768 of 2KiB hold no packet of "
		"limits.packet_size, "
		"268435456 bytes; at least 131072 are needed, or a smaller packet_size"},
	{"limits:\n  connections: 10\n", "box.yaml:1:1: limits.half_open: 1024 is more than "
					 "limits.connections, 10; lower it"},
	{"limits:\n  subscriptions: 10\n", "box.yaml:1:1: limits.filters: 50000 is more than "
					   "limits.subscriptions, 10; lower it"},
	{"mqtt:\n  takeover_timeout: 5s\n", "box.yaml:1:1: mqtt.takeover_timeout: must be shorter "
					    "than mqtt.grant_timeout, or a "
					    "client that comes back hears that we are busy"},
};

static void mistakes_are_told_with_place_and_remedy(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(mistakes); i++) {
		struct shm_config c;
		CU_ASSERT(parse(mistakes[i].yaml, &c) == ERR_CONFIG);
		CU_ASSERT(errors.count == 1);
		if (strcmp(errors.text[0], mistakes[i].said) != 0) {
			printf("# said: %s\n# not:  %s\n", errors.text[0], mistakes[i].said);
			CU_ASSERT(false);
		}
	}
}

static void all_mistakes_are_told_at_once(void)
{
	struct shm_config c;
	char yaml[4096] = "mqtt:\n";

	CU_ASSERT(parse("mqtt:\n  port: 0\ntcp:\n  keepalife: 1s\n  time_wait: 1\n", &c) ==
		  ERR_CONFIG);
	CU_ASSERT(errors.count == 3);
	CU_ASSERT(strncmp(errors.text[2], "box.yaml:5:14: ", 15) == 0);
	for (int i = 0; i < 100; i++)
		snprintf(yaml + strlen(yaml), sizeof(yaml) - strlen(yaml), "  k%d: 1\n", i);
	CU_ASSERT(parse(yaml, &c) == ERR_CONFIG);
	CU_ASSERT(errors.count == 100);
	CU_ASSERT(errors.text[CONFIG_ERRORS_MAX - 1][0] != '\0');
}

static void hostile_files_are_refused(void)
{
	static char text[CONFIG_FILE_MAX + 2];
	struct shm_config c;

	memset(text, '#', CONFIG_FILE_MAX + 1);
	CU_ASSERT(parse(text, &c) == ERR_CONFIG);
	memset(text, '[', 100000);
	text[100000] = '\0';
	CU_ASSERT(parse(text, &c) == ERR_CONFIG);
	snprintf(text, sizeof(text), "mqtt:\n  port: ");
	memset(text + strlen(text), '1', 1000);
	text[1010] = '\0';
	CU_ASSERT(parse(text, &c) == ERR_CONFIG);
	CU_ASSERT_STRING_EQUAL(errors.text[0], "box.yaml:2:9: this is too long, empty or not text");
	CU_ASSERT(config_parse(span_of("mqtt:\n  port: \"1\\0\"\n", 20), "x", &c, &errors) ==
		  ERR_CONFIG);
	CU_ASSERT(config_parse(span_of("\xff\xfe\x00\xd8", 4), "x", &c, &errors) == ERR_CONFIG);
}

static void what_is_shown_can_be_read_again(void)
{
	struct shm_config c, again;
	char text[16384];

	CU_ASSERT(parse("limits:\n  connections: 12345\ntcp:\n  time_wait: 0s\n  keepalive: 90s\n"
			"mqtt:\n  keepalive_max: 61s\nidle:\n  spin: 1500us\nnet:\n"
			"  impair: loss=0.5%,jitter=1ms,reorder=100%,seed=18446744073709551615\n",
			  &c) == ERR_NONE);
	CU_ASSERT_FATAL(config_show(&c, CONFIG_YAML, text, sizeof(text)) < sizeof(text));
	CU_ASSERT(parse(text, &again) == ERR_NONE);
	if (errors.count > 0)
		printf("# %s\n", errors.text[0]);
	CU_ASSERT(memcmp(&c, &again, sizeof(c)) == 0);
	CU_ASSERT(strstr(text, "  # TCP port for MQTT (1 to 65535)\n  port: 1883\n") != NULL);
	/* Too small a buffer is not overrun, and the answer says how much is needed. */
	char small[10];
	CU_ASSERT(config_show(&c, CONFIG_YAML, small, sizeof(small)) == strlen(text));
	CU_ASSERT(config_show(&c, CONFIG_YAML, NULL, 0) == strlen(text));
}

static void every_key_has_a_text_and_a_sane_default(void)
{
	size_t count;
	const struct config_key *keys = config_keys(&count);
	struct shm_config c;
	char value[192];

	config_defaults(&c);
	for (size_t i = 0; i < count; i++) {
		CU_ASSERT(strlen(keys[i].text) > 10 && strchr(keys[i].name, '.') != NULL);
		CU_ASSERT(keys[i].min <= keys[i].initial || keys[i].initial_text != NULL);
		CU_ASSERT(keys[i].initial <= keys[i].max || keys[i].initial_text != NULL);
		config_value(&keys[i], &c, value, sizeof(value));
		CU_ASSERT(value[0] != '\0');
		for (size_t k = 0; k < i; k++)
			CU_ASSERT(strcmp(keys[i].name, keys[k].name) != 0);
	}
}

/* Buffers of the defaults and what connections need stay below what a small machine has. */
static void the_defaults_fit_a_small_machine(void)
{
	struct shm_config c;
	const uint64_t buffer = 2048 + 128 + 128, connection = 2048, filter = 512, message = 256;

	config_defaults(&c);
	const uint64_t buffers = (uint64_t)c.rx_buffers + c.tx_buffers + c.message_buffers;
	CU_ASSERT(buffers * buffer + c.connections_max * connection + c.filters_max * filter +
			  c.filter_bytes_max + (uint64_t)c.subscriptions_max * 64 +
			  c.messages_max * message <
		  400 * MIB);
}

static void the_reference_is_what_the_table_says(void)
{
	const char *path = getenv("CONFIG_REFERENCE");
	static char page[32768], file[32768];
	struct shm_config c;

	if (path == NULL)
		return; /* run by hand */
	config_defaults(&c);
	const size_t size = config_show(&c, CONFIG_MARKDOWN, page, sizeof(page));
	FILE *f = fopen(path, "r");
	CU_ASSERT_FATAL(f != NULL);
	const size_t read = fread(file, 1, sizeof(file), f);
	fclose(f);
	/* Mend: signalbox-controlplane --show-config --markdown > docs/reference/config.md */
	CU_ASSERT(span_equal(span_of(page, size), span_of(file, read)));
}

static void numbers_are_read_or_refused(void)
{
	static const struct {
		const char *text;
		uint64_t count, size, duration; /* UINT64_MAX: refused */
	} rows[] = {
		{"0", 0, 0, 0},
		{"5", 5, 5, UINT64_MAX},
		{"5KiB", UINT64_MAX, 5 * KIB, UINT64_MAX},
		{"5 MiB", UINT64_MAX, 5 * MIB, UINT64_MAX},
		{"5kib", UINT64_MAX, UINT64_MAX, UINT64_MAX},
		{"5us", UINT64_MAX, UINT64_MAX, 5},
		{"5 ms", UINT64_MAX, UINT64_MAX, 5000},
		{"5  ms", UINT64_MAX, UINT64_MAX, UINT64_MAX},
		{"2min", UINT64_MAX, UINT64_MAX, 2 * MINUTE},
		{"1h", UINT64_MAX, UINT64_MAX, HOUR},
		{"", UINT64_MAX, UINT64_MAX, UINT64_MAX},
		{" 5", UINT64_MAX, UINT64_MAX, UINT64_MAX},
		{"+5", UINT64_MAX, UINT64_MAX, UINT64_MAX},
		{"1.5s", UINT64_MAX, UINT64_MAX, UINT64_MAX},
		{"0x10", UINT64_MAX, UINT64_MAX, UINT64_MAX},
		{"18446744073709551616", UINT64_MAX, UINT64_MAX, UINT64_MAX},
		{"18446744073709551615KiB", UINT64_MAX, UINT64_MAX, UINT64_MAX},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		uint64_t v = 0;
		CU_ASSERT(units_count(rows[i].text, &v) == (rows[i].count != UINT64_MAX));
		CU_ASSERT(rows[i].count == UINT64_MAX || v == rows[i].count);
		CU_ASSERT(units_size(rows[i].text, &v) == (rows[i].size != UINT64_MAX));
		CU_ASSERT(rows[i].size == UINT64_MAX || v == rows[i].size);
		CU_ASSERT(units_duration(rows[i].text, &v) == (rows[i].duration != UINT64_MAX));
		CU_ASSERT(rows[i].duration == UINT64_MAX || v == rows[i].duration);
	}
}

static void addresses_are_four_numbers(void)
{
	static const char *const bad[] = {"", "1.2.3", "1.2.3.4.5", "1.2.3.256", "1..2.3",
		"a.b.c.d", "1.2.3.4 ", " 1.2.3.4", "1,2,3,4", "1.2.3."};
	uint32_t v;
	char text[20];

	CU_ASSERT(units_address("192.0.2.255", &v));
	units_print_address(v, text, sizeof(text));
	CU_ASSERT_STRING_EQUAL(text, "192.0.2.255");
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		CU_ASSERT(!units_address(bad[i], &v));
}

static void percentages_keep_four_decimals(void)
{
	static const struct {
		const char *text;
		uint32_t ppm; /* UINT32_MAX: refused */
	} rows[] = {
		{"0%", 0},
		{"5%", 50000},
		{"0.1%", 1000},
		{"0.0001%", 1},
		{"12.34%", 123400},
		{"100%", 1000000},
		{"100.0001%", UINT32_MAX},
		{"101%", UINT32_MAX},
		{"0.00001%", UINT32_MAX},
		{"5", UINT32_MAX},
		{".5%", UINT32_MAX},
		{"5.%", UINT32_MAX},
		{"%", UINT32_MAX},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		uint32_t ppm;
		char text[16];
		CU_ASSERT(units_percent(rows[i].text, &ppm) == (rows[i].ppm != UINT32_MAX));
		if (rows[i].ppm == UINT32_MAX)
			continue;
		CU_ASSERT(ppm == rows[i].ppm);
		units_print_percent(ppm, text, sizeof(text));
		CU_ASSERT_STRING_EQUAL(text, rows[i].text);
	}
}

static void impairments_are_read_and_printed(void)
{
	static const char all[] =
		"loss=5%,delay=20ms,jitter=1ms,reorder=1%,duplicate=1%,corrupt=0.1%,seed=7";
	struct shm_impair impair;
	char why[160], text[IMPAIR_TEXT_MAX];

	CU_ASSERT(impair_parse(all, &impair, why, sizeof(why)) == ERR_NONE);
	CU_ASSERT(impair.loss_ppm == 50000 && impair.delay_us == 20000 && impair.jitter_us == 1000);
	CU_ASSERT(impair.reorder_ppm == 10000 && impair.duplicate_ppm == 10000);
	CU_ASSERT(impair.corrupt_ppm == 1000 && impair.seed == 7);
	impair_print(&impair, text, sizeof(text));
	CU_ASSERT_STRING_EQUAL(text, all);
	CU_ASSERT(impair_parse("off", &impair, why, sizeof(why)) == ERR_NONE);
	impair_print(&impair, text, sizeof(text));
	CU_ASSERT_STRING_EQUAL(text, "off");
}

static void impossible_impairments_are_refused_by_name(void)
{
	static const struct {
		const char *text, *why;
	} rows[] = {
		{"loss", "loss wants a percentage from 0% to 100%, such as 0.1%"},
		{"loss=5", "loss wants a percentage from 0% to 100%, such as 0.1%"},
		{"delay=2min", "delay wants a time of at most 60s, such as 20ms"},
		{"seed=x", "seed wants a whole number"},
		{"loss=1%,loss=2%", "loss is given twice"},
		{"los=1%", "\"los\" is no impairment; there are loss, delay, jitter, reorder, "
			   "duplicate, corrupt, seed, and off"},
		{"", "\"\" is no impairment; there are loss, delay, jitter, reorder, duplicate, "
		     "corrupt, seed, and off"},
		{"loss=1%,", "\"\" is no impairment; there are loss, delay, jitter, reorder, "
			     "duplicate, corrupt, seed, and off"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct shm_impair impair = {.loss_ppm = 3};
		char why[160] = "";
		CU_ASSERT(impair_parse(rows[i].text, &impair, why, sizeof(why)) == ERR_CONFIG);
		CU_ASSERT_STRING_EQUAL(why, rows[i].why);
		CU_ASSERT(impair.loss_ppm == 3); /* all or nothing */
	}
}

static void prefixes_are_read_and_printed(void)
{
	static const char *const rows[][2] = {
		{"none", "none"},
		{"10.0.0.0/8", "10.0.0.0/8"},
		{"192.0.2.1", "192.0.2.1/32"},
		{"0.0.0.0/0,192.0.2.128/25", "0.0.0.0/0,192.0.2.128/25"},
		{"255.255.255.252/30,255.255.255.253,255.255.255.254,255.255.255.255,"
		 "255.255.255.128/25,255.255.255.192/26,255.255.255.224/27,255.255.255.240/28",
			"255.255.255.252/30,255.255.255.253/32,255.255.255.254/32,"
			"255.255.255.255/32,255.255.255.128/25,255.255.255.192/26,"
			"255.255.255.224/27,255.255.255.240/28"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct prefixes p;
		char why[160], text[PREFIXES_TEXT_MAX];
		CU_ASSERT_FATAL(prefixes_parse(rows[i][0], &p, why, sizeof(why)) == ERR_NONE);
		prefixes_print(&p, text, sizeof(text));
		CU_ASSERT_STRING_EQUAL(text, rows[i][1]);
	}
}

static void impossible_prefixes_are_refused_by_name(void)
{
	static const struct {
		const char *text, *why;
	} rows[] = {
		{"", "\"\" is no prefix such as 192.0.2.0/24"},
		{"10.0.0.0/33", "\"10.0.0.0/33\" is no prefix such as 192.0.2.0/24"},
		{"10.0.0.0/", "\"10.0.0.0/\" is no prefix such as 192.0.2.0/24"},
		{"10.0.0/8", "\"10.0.0/8\" is no prefix such as 192.0.2.0/24"},
		{"10.0.0.0/8,", "\"\" is no prefix such as 192.0.2.0/24"},
		{"10.0.0.0/8/8", "\"10.0.0.0/8/8\" is no prefix such as 192.0.2.0/24"},
		{"none,10.0.0.0/8", "\"none\" is no prefix such as 192.0.2.0/24"},
		{"10.0.0.1/8", "\"10.0.0.1/8\" has bits behind its first 8"},
		{"10.0.0.0/0", "\"10.0.0.0/0\" has bits behind its first 0"},
		{"1.1.1.1,1.1.1.2,1.1.1.3,1.1.1.4,1.1.1.5,1.1.1.6,1.1.1.7,1.1.1.8,1.1.1.9",
			"there are more than 8 prefixes"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct prefixes p = {.count = 3};
		char why[160] = "";
		CU_ASSERT(prefixes_parse(rows[i].text, &p, why, sizeof(why)) == ERR_CONFIG);
		CU_ASSERT_STRING_EQUAL(why, rows[i].why);
		CU_ASSERT(p.count == 3); /* all or nothing */
	}
}

static const struct unit_test tests[] = {
	{"an_empty_file_is_all_defaults", an_empty_file_is_all_defaults},
	{"values_are_read_in_their_units", values_are_read_in_their_units},
	{"a_choice_is_one_of_its_words", a_choice_is_one_of_its_words},
	{"mistakes_are_told_with_place_and_remedy", mistakes_are_told_with_place_and_remedy},
	{"all_mistakes_are_told_at_once", all_mistakes_are_told_at_once},
	{"hostile_files_are_refused", hostile_files_are_refused},
	{"what_is_shown_can_be_read_again", what_is_shown_can_be_read_again},
	{"every_key_has_a_text_and_a_sane_default", every_key_has_a_text_and_a_sane_default},
	{"the_defaults_fit_a_small_machine", the_defaults_fit_a_small_machine},
	{"the_reference_is_what_the_table_says", the_reference_is_what_the_table_says},
	{"numbers_are_read_or_refused", numbers_are_read_or_refused},
	{"addresses_are_four_numbers", addresses_are_four_numbers},
	{"percentages_keep_four_decimals", percentages_keep_four_decimals},
	{"prefixes_are_read_and_printed", prefixes_are_read_and_printed},
	{"impossible_prefixes_are_refused_by_name", impossible_prefixes_are_refused_by_name},
	{"impairments_are_read_and_printed", impairments_are_read_and_printed},
	{"impossible_impairments_are_refused_by_name", impossible_impairments_are_refused_by_name},
};

int main(int argc, char **argv)
{
	return UNIT_MAIN("config", tests, argc, argv);
}
