/* checksum.c - the Internet checksum (RFC 1071), over memory and over chains.
 *
 * Sums are of 16-bit words as they lie in memory: the result goes into a header as it is, on any
 * machine (RFC 1071 2.B). Partial sums are folded to 16 bits, so many can be added plainly. */
#include "dataplane/net/net_internal.h"

static uint32_t fold(uint64_t sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16); /* at most 17 + 16 bits */
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint32_t)sum;
}

uint32_t net_checksum_add(uint32_t sum, const void *bytes, size_t size)
{
	const uint8_t *at = bytes;
	uint64_t low = sum; /* of the words' halves: no carry is lost below 32 GiB */
	uint64_t high = 0;

	for (; size >= 16; size -= 16, at += 16) {
		uint64_t a, b;
		memcpy(&a, at, sizeof(a));
		memcpy(&b, at + 8, sizeof(b));
		low += (a & 0xffffffff) + (b & 0xffffffff);
		high += (a >> 32) + (b >> 32);
	}
	for (; size >= 2; size -= 2, at += 2) {
		uint16_t word;
		memcpy(&word, at, sizeof(word));
		low += word;
	}
	if (size == 1) { /* RFC 1071: padded with a zero byte */
		uint16_t word = 0;
		memcpy(&word, at, 1);
		low += word;
	}
	return fold((uint64_t)fold(low) + fold(high));
}

/* A piece that begins at an odd place has its bytes in the other halves of the words. */
static uint32_t swapped(uint32_t sum)
{
	return (sum & 0xff) << 8 | sum >> 8;
}

uint32_t net_checksum_mbuf(uint32_t sum, const struct rte_mbuf *m, uint32_t offset, uint32_t size)
{
	bool odd = false;

	while (size > 0) {
		ASSERT(m != NULL); /* the caller knows the packet's length */
		if (offset >= m->data_len) {
			offset -= m->data_len;
			m = m->next;
			continue;
		}
		const uint32_t part = RTE_MIN(size, m->data_len - offset);
		const uint32_t s = net_checksum_add(
			0, rte_pktmbuf_mtod_offset(m, const uint8_t *, offset), part);
		sum = fold((uint64_t)sum + (odd ? swapped(s) : s));
		odd ^= (part & 1) != 0;
		size -= part;
		offset = 0;
		m = m->next;
	}
	return sum;
}

uint16_t net_checksum_finish(uint32_t sum)
{
	return (uint16_t)~fold(sum);
}

uint32_t net_checksum_pseudo(rte_be32_t src, rte_be32_t dst, uint8_t protocol, uint16_t size)
{
	const uint64_t sum =
		(uint64_t)src + dst + rte_cpu_to_be_16(protocol) + rte_cpu_to_be_16(size);

	return fold(sum);
}
