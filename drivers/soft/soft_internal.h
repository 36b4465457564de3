/* soft_internal.h - what the files of soft/ do for each other. See soft_port.h. */
#pragma once
#include "drivers/soft/soft_port.h"

struct ifreq;

extern const struct soft_kind soft_tap;
extern const struct soft_kind soft_af_packet;
extern const struct soft_kind soft_af_xdp;
extern const struct soft_kind soft_pcap;
extern const struct soft_kind soft_memif;
extern const struct soft_kind soft_memif_peer;
extern const struct soft_kind soft_pci;
extern const struct driver_ops soft_ops; /* soft_io.c; close is soft_close */

/* soft.c, for soft_ops. */
void soft_close(struct driver *d);
bool soft_link_up(struct driver *d);
bool soft_sound(struct driver *d);
enum err soft_renew(struct driver *d, char *why, size_t why_size);

/* soft_ports.c: the ports of all queues. Remove only what is open. */
MUST_USE enum err soft_ports_open(struct soft *s, char *why, size_t why_size);
void soft_ports_remove(struct soft *s);

/* soft_reclaim.c: puts back what the PMD of a closed port kept of a receive pool; returns how many.
 * Nobody else has buffers of it but such as the PMD has delivered. */
uint32_t soft_reclaim(struct rte_mempool *pool);

/* soft_sockets.c: before the PMD is started, and when it runs: finds its sockets of that domain,
 * which are each queue's wake_fd. */
void soft_sockets_before(struct soft *s, int domain);
void soft_sockets_attach(struct soft *s, int domain);

/* Names the kernel's interface in a question to it; the rest is zero. */
void soft_request_name(const struct soft *s, struct ifreq *request);
/* Asks the kernel for the interface's MTU, put into s->mtu, and its MAC; false with errno. */
MUST_USE bool soft_interface(struct soft *s, uint8_t mac[6]);
/* The same of one that must be there already; else says why. */
MUST_USE enum err soft_interface_check(struct soft *s, char *why, size_t why_size);
/* One buffer with the bytes of a chain, which is left as it is. NULL: no buffer, or it is too long.
 */
MUST_USE struct rte_mbuf *soft_linearise(struct rte_mempool *pool, const struct rte_mbuf *frame);
extern const uint8_t soft_mac_prefix[SOFT_MAC_PREFIX];
uint64_t soft_name_hash(uint16_t box, const char *interface);
/* A name that the kernel takes for an interface and that needs no quoting in DPDK's arguments. */
MUST_USE bool soft_name_good(const char *interface);
#define SOFT_NAME_RULE "1 to 15 letters, digits, _ . or -"
