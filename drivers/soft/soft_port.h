/* soft_port.h - inside of soft/ and pci/: one open NIC, and what its kinds do differently.
 *
 * Not for other folders: they see soft.h. Functions are in soft_internal.h. */
#pragma once
#include "drivers/soft/soft.h"

#include <sys/types.h>

enum {
	SOFT_INTERFACE_MAX = 15,  /* characters of a kernel interface name */
	SOFT_NAME_MAX = 111,      /* of whatever names a NIC: an interface, a path */
	SOFT_MTU_MAX = 1500,      /* larger frames do not fit the buffers and rings */
	SOFT_ETHER_BYTES = 14,    /* Ethernet header; a shorter frame is a runt */
	SOFT_VLAN_BYTES = 4,      /* room for one 802.1Q tag */
	SOFT_MAC_PREFIX = 3,      /* bytes that all boxes have in common */
	SOFT_BURST = 32,          /* frames handed to the PMD at once */
	SOFT_ROOM_BYTES = 2048,   /* least room of a receive buffer, headroom not counted */
	SOFT_LINEAR_BUFFERS = 64, /* copies of frames that the PMD cannot take as chains */
	SOFT_SOCKETS_MAX = 64,    /* packet sockets looked at, our own and others' */
};

struct soft;

struct soft_queue {
	uint16_t port, number;      /* DPDK's port, and which queue of it this is */
	uint16_t segs_max;          /* segments that the PMD takes */
	bool tx_checksum;           /* it fills in those of TCP */
	struct rte_mempool *pool;   /* receive buffers */
	struct rte_mempool *linear; /* NULL: the PMD takes chains */
	struct counters *counters;
	int wake_fd;          /* readable while frames wait; -1: there is none */
	uint32_t full_bursts; /* receive bursts that filled the caller's array, and not looked at */
	uint64_t dropped_before; /* af_xdp: what the kernel said when last asked */
};

/* What a kind adds to a plain ethdev port. */
struct soft_kind {
	const char *name; /* "tap" */
	const char *vdev; /* "net_tap"; of a real NIC what to call its driver */
	const char *bus;  /* NULL: a virtual device, made by us; "pci": the name is its address */
	const char *log_name; /* the PMD's log, silent while it opens; NULL: leave it */
	/* Whether a NIC can be named so, and what such a name is. */
	bool (*name_good)(const char *name);
	const char *name_rule;
	uint16_t queues_max;
	uint32_t rx_bytes_max;                   /* a longer frame may have been cut by the PMD */
	uint16_t rx_descriptors, tx_descriptors; /* asked of the PMD; more or less if it must */
	uint64_t rx_offloads, tx_offloads, rss;  /* that we have a use for */
	bool has_mac;                            /* the device has an address, which is the box's */
	/* The argument of the device that numbers it, when each queue is a device; else NULL. */
	const char *port_argument;
	/* Looks at the interface; writes the arguments of the virtual device, and s->mtu. */
	enum err (*prepare)(struct soft *s, char *args, size_t size, char *why, size_t why_size);
	bool readdress; /* frames to any box are ours: they get our address */
	/* All below may be NULL. */
	void (*before)(struct soft *s); /* the PMD is started */
	void (*after)(struct soft *s);  /* it was, or it failed: undoes `before` */
	void (*attach)(struct soft *s); /* it runs: finds wake_fd of each queue */
	uint64_t (*dropped)(struct soft *s, uint16_t queue); /* by the kernel, since last asked */
	void (*detach)(struct soft *s);                      /* it was closed */
	bool (*link_up)(const struct soft *s); /* NULL: the kernel knows the interface */
	bool keeps_buffers; /* the PMD gives none back that the kernel had of the receive pools */
};

struct soft {
	struct driver driver; /* first: what others hold */
	const struct soft_kind *kind;
	char interface[SOFT_NAME_MAX + 1]; /* what the NIC is named by */
	uint16_t box, queues;
	uint16_t ports; /* that are open: one for all queues, or one for each */
	int control_fd; /* any socket: to ask the kernel about the interface */
	uint16_t mtu;
	uint32_t tx_bytes_max;   /* longest frame that may be sent */
	unsigned index;          /* of the kernel's interface; 0: it is none of these */
	uint32_t wants_renewal;  /* 1: DPDK said that the device is gone, or wants a new start */
	bool existed;            /* tap: the device was there before us */
	uint64_t signals_quiet;  /* tap: bit n is set while signal n is ignored for the PMD */
	uint32_t log_level;      /* of the PMD's log, put back after opening */
	mode_t creation_mask;    /* memif: of files, put back after opening */
	unsigned sockets_before; /* af_packet, af_xdp: how many of `sockets` are not ours */
	int sockets[SOFT_SOCKETS_MAX];
	struct soft_queue queue[SOFT_QUEUES_MAX];
};
