/* soft_pcap.c - what is special about DPDK's net_pcap: a capture is replayed into the box, and what
 * it sends is captured.
 *
 * The NIC is named REPLAY,CAPTURE: two files in pcap's format, of which one may
 * be left out. Frames come as fast as they are taken, and then there are none. A capture was often
 * taken of another box: frames to the address of any box are taken for our own. */
#include "drivers/soft/soft_internal.h"

#include <errno.h>
#include <rte_ethdev.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char path_signs[] = "abcdefghijklmnopqrstuvwxyz"
				 "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-/+~@%";

/* Bytes of the first path; the second begins one further. */
static size_t replay_size(const char *name)
{
	return strspn(name, path_signs);
}

static bool paths_good(const char *name)
{
	const size_t first = replay_size(name);

	if (name[first] != ',')
		return false;
	const char *capture = name + first + 1;
	return strspn(capture, path_signs) == strlen(capture) && (first > 0 || *capture != '\0');
}

static enum err pcap_prepare(struct soft *s, char *args, size_t size, char *why, size_t why_size)
{
	char replay[SOFT_NAME_MAX + 1] = "";
	const size_t first = replay_size(s->interface);
	const char *capture = s->interface + first + 1;

	memcpy(replay, s->interface, first);
	if (first > 0 && access(replay, R_OK) != 0) {
		snprintf(why, why_size, "capture %s cannot be replayed: %s", replay,
			strerror(errno));
		return ERR_NIC_CONFIG;
	}
	s->mtu = SOFT_MTU_MAX;
	snprintf(args, size, "%s%s%s%s%s", first > 0 ? "rx_pcap=" : "", replay,
		first > 0 && *capture != '\0' ? "," : "", *capture != '\0' ? "tx_pcap=" : "",
		capture);
	return ERR_NONE;
}

static bool pcap_link_up(const struct soft *s)
{
	return s->ports > 0;
}

const struct soft_kind soft_pcap = {
	.name = "pcap",
	.vdev = "net_pcap",
	.name_good = paths_good,
	.name_rule = "REPLAY,CAPTURE: two paths, of which one may be left out",
	.queues_max = 1,
	.rx_bytes_max = SOFT_ROOM_BYTES,
	.rx_descriptors = 1,
	.readdress = true,
	.prepare = pcap_prepare,
	.link_up = pcap_link_up,
};
