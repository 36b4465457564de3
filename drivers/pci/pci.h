/* pci.h - is a PCI device one that DPDK can drive? And if not, what to type. Reads sysfs only. */
#pragma once
#include "dataplane/base/attr.h"
#include "dataplane/base/err.h"

#include <stdbool.h>
#include <stddef.h>

/* "0000:01:00.0", in full. */
MUST_USE bool pci_address_good(const char *address);

/* `sysfs` is "/sys", but in tests. ERR_NIC_CONFIG with a reason: there is no such device, it is no
 * network card, or the kernel has it. */
MUST_USE enum err pci_check(const char *sysfs, const char *address, char *why, size_t why_size);
