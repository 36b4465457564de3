/* wire_icmp.c - see wire_icmp.h. */
#include "tests/wire/wire_icmp.h"

#include "dataplane/base/writer.h"

#include <stdlib.h>

enum { ROUTER = 0x0a000009, QUOTE = 20 + 8, MESSAGE = 8 + QUOTE, PROTO_ICMP = 1 };

/* The value of a word "name=value"; false if it is another word. */
static bool value_of(const char *word, const char *name, uint16_t *out)
{
	const size_t size = strlen(name);

	if (strncmp(word, name, size) != 0 || word[size] != '=')
		return false;
	*out = (uint16_t)strtoul(word + size + 1, NULL, 0);
	return true;
}

bool icmp_line_parse(struct icmp_line *l, char *const *words, unsigned count)
{
	char *code;

	if (count < 2)
		return false;
	l->type = (uint8_t)strtoul(words[0], &code, 0);
	if (*code != '/')
		return false;
	l->code = (uint8_t)strtoul(code + 1, NULL, 0);
	l->seq = l->isn + (uint32_t)strtoll(words[1], NULL, 0);
	l->size = 1500;
	for (unsigned i = 2; i < count; i++)
		if (strcmp(words[i], "badsum") == 0)
			l->bad_checksum = true;
		else if (!value_of(words[i], "mtu", &l->mtu) &&
			 !value_of(words[i], "size", &l->size) &&
			 !value_of(words[i], "lport", &l->src_port) &&
			 !value_of(words[i], "dport", &l->dst_port))
			return false;
	return true;
}

static void put_sum(uint8_t *at, const uint8_t *from, size_t size)
{
	const uint16_t sum = net_checksum_finish(net_checksum_add(0, from, size));

	memcpy(at, &sum, sizeof(sum));
}

static void write_ip(struct writer *w, uint16_t size, uint8_t protocol, uint32_t src, uint32_t dst)
{
	uint8_t *start = w->at;

	write_u16(w, 0x4500);
	write_u16(w, size);
	write_u32(w, 0x00004000); /* DF */
	write_u8(w, 64);
	write_u8(w, protocol);
	write_u16(w, 0);
	write_u32(w, src);
	write_u32(w, dst);
	put_sum(start + 10, start, 20);
}

void icmp_line_send(struct rig *r, const struct icmp_line *l)
{
	uint8_t bytes[128];
	struct writer w = writer_of(bytes, sizeof(bytes));

	write_ip(&w, 20 + MESSAGE, PROTO_ICMP, ROUTER, RIG_LOCAL);
	uint8_t *icmp = w.at;
	write_u8(&w, l->type);
	write_u8(&w, l->code);
	write_u16(&w, 0);
	write_u32(&w, l->mtu);
	write_ip(&w, l->size, NET_PROTO_TCP, RIG_LOCAL, RIG_PEER);
	write_u16(&w, l->src_port);
	write_u16(&w, l->dst_port);
	write_u32(&w, l->seq);
	put_sum(icmp + 2, icmp, MESSAGE);
	icmp[2] ^= l->bad_checksum;
	ASSERT(!w.bad);
	rig_give_ipv4(r, writer_span(&w));
}
