/* pci.c - see pci.h. */
#include "drivers/pci/pci.h"

#include "dataplane/base/attr.h"

#include <ctype.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { CLASS_NETWORK = 0x02 };

bool pci_address_good(const char *address)
{
	static const char form[] = "xxxx:xx:xx.x";

	if (strlen(address) != sizeof(form) - 1)
		return false;
	for (size_t i = 0; form[i] != '\0'; i++)
		if (form[i] == 'x' ? !isxdigit((unsigned char)address[i]) : address[i] != form[i])
			return false;
	return address[11] >= '0' && address[11] <= '7';
}

static void path_of(
	const char *sysfs, const char *address, const char *name, char *out, size_t size)
{
	snprintf(out, size, "%s/bus/pci/devices/%s/%s", sysfs, address, name);
}

/* "0x020000" and its like: class, subclass, interface. -1: it cannot be read. */
static int class_of(const char *sysfs, const char *address)
{
	char path[PATH_MAX], text[16] = "";

	path_of(sysfs, address, "class", path, sizeof(path));
	FILE *f = fopen(path, "re");
	if (f == NULL)
		return -1;
	const bool read = fgets(text, sizeof(text), f) != NULL;
	fclose(f);
	return read ? (int)(strtoul(text, NULL, 16) >> 16) : -1;
}

/* The name of the driver that has it; "" when none has. */
static void driver_of(const char *sysfs, const char *address, char *out, size_t size)
{
	char path[PATH_MAX], target[PATH_MAX];

	out[0] = '\0';
	path_of(sysfs, address, "driver", path, sizeof(path));
	const ssize_t n = readlink(path, target, sizeof(target) - 1);
	if (n <= 0)
		return;
	target[n] = '\0';
	const char *slash = strrchr(target, '/');
	const char *name = slash == NULL ? target : slash + 1;
	if (strlen(name) < size)
		memcpy(out, name, strlen(name) + 1);
}

/* Drivers that hand the device on, or share it: Mellanox's stay with the kernel. */
static bool is_ours(const char *driver)
{
	static const char *const names[] = {
		"vfio-pci", "igb_uio", "uio_pci_generic", "mlx4_core", "mlx5_core"};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (strcmp(driver, names[i]) == 0)
			return true;
	return false;
}

static void tell_binding(const char *address, const char *driver, char *why, size_t why_size)
{
	char unbind[128] = "";

	if (driver[0] != '\0')
		snprintf(unbind, sizeof(unbind),
			"echo %s > /sys/bus/pci/devices/%s/driver/unbind; ", address, address);
	snprintf(why, why_size,
		"PCI device %s %s%s; type as root: modprobe vfio-pci; "
		"echo vfio-pci > /sys/bus/pci/devices/%s/driver_override; %s"
		"echo %s > /sys/bus/pci/drivers_probe",
		address, driver[0] != '\0' ? "is the kernel's, by driver " : "has no driver",
		driver, address, unbind, address);
}

enum err pci_check(const char *sysfs, const char *address, char *why, size_t why_size)
{
	char path[PATH_MAX], driver[64];

	if (!pci_address_good(address)) {
		snprintf(
			why, why_size, "\"%.40s\" is no PCI address such as 0000:01:00.0", address);
		return ERR_NIC_CONFIG;
	}
	path_of(sysfs, address, "", path, sizeof(path));
	if (access(path, F_OK) != 0) {
		snprintf(why, why_size,
			"there is no PCI device %s; `lspci -D | grep -i net` lists what there is",
			address);
		return ERR_NIC_CONFIG;
	}
	const int class = class_of(sysfs, address);
	if (class != CLASS_NETWORK) {
		snprintf(why, why_size,
			"PCI device %s is no network card (class %02x); `lspci -D | grep -i net` "
			"lists what there is",
			address, (unsigned)class & 0xff);
		return ERR_NIC_CONFIG;
	}
	driver_of(sysfs, address, driver, sizeof(driver));
	if (is_ours(driver))
		return ERR_NONE;
	tell_binding(address, driver, why, why_size);
	return ERR_NIC_CONFIG;
}
