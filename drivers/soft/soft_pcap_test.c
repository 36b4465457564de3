/* soft_pcap_test.c - a capture is replayed frame by frame, and what is sent is in the other file.
 */
#include "drivers/soft/soft_internal.h"
#include "tests/unit/eal.h"
#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { FRAMES = 100, FILE_HEADER = 24, RECORD_HEADER = 16 };

static char folder[] = "/tmp/soft_pcap_XXXXXX";
static struct counters block;

/* pcap's file format: a header, then of each frame seconds, microseconds, bytes kept, bytes. */
static void put_u32(FILE *f, uint32_t v)
{
	CU_ASSERT_EQUAL(fwrite(&v, sizeof(v), 1, f), 1);
}

static uint8_t byte_of(unsigned frame, size_t at)
{
	return (uint8_t)(frame * 7 + at);
}

static size_t size_of(unsigned frame)
{
	return 60 + (size_t)frame * 14;
}

/* To another box, to a stranger, to all. */
static void address_of(unsigned frame, uint8_t to[6])
{
	static const uint8_t all[3][6] = {{0x02, 0x53, 0x42, 9, 9, 9}, {0x02, 0x77, 1, 2, 3, 4},
		{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}};

	memcpy(to, all[frame % 3], 6);
}

static void write_capture(const char *path)
{
	FILE *f = fopen(path, "wb");
	uint8_t frame[2048];

	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	put_u32(f, 0xa1b2c3d4);
	put_u32(f, 2 | 4 << 16);
	put_u32(f, 0);
	put_u32(f, 0);
	put_u32(f, 65535);
	put_u32(f, 1); /* Ethernet */
	for (unsigned i = 0; i < FRAMES; i++) {
		for (size_t at = 0; at < size_of(i); at++)
			frame[at] = byte_of(i, at);
		address_of(i, frame);
		put_u32(f, i);
		put_u32(f, 0);
		put_u32(f, (uint32_t)size_of(i));
		put_u32(f, (uint32_t)size_of(i));
		CU_ASSERT_EQUAL(fwrite(frame, size_of(i), 1, f), 1);
	}
	fclose(f);
}

static struct driver *open_pcap(const char *name, struct rte_mempool *pool)
{
	struct counters *blocks[1] = {&block};
	struct driver *nic = NULL;
	char why[256] = "";
	const struct soft_conf conf = {
		.kind = "pcap", .interface = name, .queues = 1, .pools = &pool, .counters = blocks};

	memset(&block, 0, sizeof(block));
	CU_ASSERT_EQUAL_FATAL(soft_open(&conf, &nic, why, sizeof(why)), ERR_NONE);
	return nic;
}

static void check_frame(const struct driver *nic, const struct rte_mbuf *m, unsigned i)
{
	const uint8_t *bytes = rte_pktmbuf_mtod(m, const uint8_t *);
	uint8_t to[6];

	address_of(i, to);
	if (i % 3 == 0)
		memcpy(to, nic->facts.mac, 6);
	CU_ASSERT_EQUAL_FATAL(m->pkt_len, size_of(i));
	CU_ASSERT_EQUAL(memcmp(bytes, to, 6), 0);
	for (size_t at = 6; at < size_of(i); at++)
		CU_ASSERT_EQUAL(bytes[at], byte_of(i, at));
}

static void replays_every_frame_once(void)
{
	struct rte_mempool *pool = unit_pool(64);
	struct rte_mbuf *frames[16];
	char path[64], name[80];
	unsigned seen = 0;

	snprintf(path, sizeof(path), "%s/in.pcap", folder);
	snprintf(name, sizeof(name), "%s,", path);
	write_capture(path);
	struct driver *nic = open_pcap(name, pool);
	for (uint16_t n; (n = driver_rx(nic, 0, frames, 16)) > 0;)
		for (uint16_t i = 0; i < n; i++) {
			check_frame(nic, frames[i], seen++);
			rte_pktmbuf_free(frames[i]);
		}
	CU_ASSERT_EQUAL(seen, FRAMES);
	CU_ASSERT_EQUAL(counter_get(&block, COUNTER_NIC_RX_PACKETS), FRAMES);
	CU_ASSERT(nic->ops->link_up(nic) && !nic->facts.wakes);
	nic->ops->close(nic);
	CU_ASSERT_EQUAL(rte_mempool_avail_count(pool), 64);
}

/* `segs` segments of 20 bytes each. */
static struct rte_mbuf *chain(struct rte_mempool *pool, unsigned segs)
{
	struct rte_mbuf *first = NULL;

	for (unsigned i = 0; i < segs; i++) {
		struct rte_mbuf *m = rte_pktmbuf_alloc(pool);
		memset(rte_pktmbuf_append(m, 20), 'a' + (int)i, 20);
		if (first == NULL)
			first = m;
		else
			CU_ASSERT_EQUAL(rte_pktmbuf_chain(first, m), 0);
	}
	return first;
}

static void captures_what_is_sent(void)
{
	struct rte_mempool *pool = unit_pool(64);
	char path[64], name[80];
	uint8_t file[512];
	size_t at = FILE_HEADER;

	snprintf(path, sizeof(path), "%s/out.pcap", folder);
	snprintf(name, sizeof(name), ",%s", path);
	struct driver *nic = open_pcap(name, pool);
	struct rte_mbuf *frames[3] = {chain(pool, 1), chain(pool, 3), chain(pool, 8)};
	CU_ASSERT_EQUAL(driver_tx(nic, 0, frames, 3), 3);
	nic->ops->close(nic);
	CU_ASSERT_EQUAL(rte_mempool_avail_count(pool), 64);
	FILE *f = fopen(path, "rb");
	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	const size_t size = fread(file, 1, sizeof(file), f);
	fclose(f);
	CU_ASSERT_EQUAL_FATAL(size, FILE_HEADER + 3 * RECORD_HEADER + (1 + 3 + 8) * 20);
	for (unsigned segs = 1, i = 0; i < 3; i++, segs = i == 1 ? 3 : 8) {
		uint32_t kept;
		memcpy(&kept, file + at + 8, sizeof(kept));
		CU_ASSERT_EQUAL(kept, segs * 20);
		at += RECORD_HEADER;
		for (unsigned j = 0; j < segs * 20; j++)
			CU_ASSERT_EQUAL(file[at++], 'a' + j / 20);
	}
}

static void what_is_no_capture_is_refused(void)
{
	struct rte_mempool *pool = unit_pool(64);
	struct counters *blocks[1] = {&block};
	char name[96], why[256];
	struct driver *nic = NULL;
	struct soft_conf conf = {
		.kind = "pcap", .interface = name, .queues = 1, .pools = &pool, .counters = blocks};

	snprintf(name, sizeof(name), "%s/none.pcap,", folder);
	CU_ASSERT_EQUAL(soft_open(&conf, &nic, why, sizeof(why)), ERR_NIC_CONFIG);
	CU_ASSERT_PTR_NOT_NULL(strstr(why, "none.pcap cannot be replayed"));
	snprintf(name, sizeof(name), "/proc/self/status,");
	CU_ASSERT_EQUAL(soft_open(&conf, &nic, why, sizeof(why)), ERR_NIC_CONFIG);
	static const char *const bad[] = {"", ",", "a", "a,b,c", "a b,c", "a,b=c"};
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		conf.interface = bad[i];
		CU_ASSERT_EQUAL(soft_open(&conf, &nic, why, sizeof(why)), ERR_NIC_CONFIG);
		CU_ASSERT_PTR_NOT_NULL(strstr(why, "REPLAY,CAPTURE"));
	}
}

static void remove_folder(void)
{
	static const char *const names[] = {"in.pcap", "out.pcap"};
	char path[64];

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		snprintf(path, sizeof(path), "%s/%s", folder, names[i]);
		(void)unlink(path);
	}
	(void)rmdir(folder);
}

static const struct unit_test tests[] = {
	{"replays_every_frame_once", replays_every_frame_once},
	{"captures_what_is_sent", captures_what_is_sent},
	{"what_is_no_capture_is_refused", what_is_no_capture_is_refused},
};

int main(int argc, char **argv)
{
	if (mkdtemp(folder) == NULL || atexit(remove_folder) != 0)
		return 100;
	return UNIT_MAIN("soft_pcap", tests, argc, argv);
}
