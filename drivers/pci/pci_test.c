/* pci_test.c - devices in a made-up sysfs: which are taken, and what is said of the others. */
#include "drivers/pci/pci.h"

#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char sysfs[] = "/tmp/pci_test_XXXXXX";

static void make_folder(const char *name, char *path, size_t size)
{
	snprintf(path, size, "%s/%s", sysfs, name);
	CU_ASSERT_EQUAL(mkdir(path, 0700), 0);
}

/* A device with a class and, if one has it, a driver. */
static void device(const char *address, const char *class, const char *driver)
{
	char name[64], path[128], file[160], target[64];

	snprintf(name, sizeof(name), "bus/pci/devices/%s", address);
	make_folder(name, path, sizeof(path));
	snprintf(file, sizeof(file), "%s/class", path);
	FILE *f = fopen(file, "w");
	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	fprintf(f, "%s\n", class);
	fclose(f);
	if (driver == NULL)
		return;
	snprintf(file, sizeof(file), "%s/driver", path);
	snprintf(target, sizeof(target), "../../drivers/%s", driver);
	CU_ASSERT_EQUAL(symlink(target, file), 0);
}

static void make_sysfs(void)
{
	static bool made;
	char path[128];

	if (made)
		return;
	made = true;
	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(sysfs));
	make_folder("bus", path, sizeof(path));
	make_folder("bus/pci", path, sizeof(path));
	make_folder("bus/pci/devices", path, sizeof(path));
	device("0000:01:00.0", "0x020000", "vfio-pci");
	device("0000:01:00.1", "0x020000", "ixgbe");
	device("0000:02:00.0", "0x020700", "mlx5_core");
	device("0000:03:00.0", "0x020000", NULL);
	device("0000:04:00.0", "0x010802", "nvme");
}

static void remove_sysfs(void)
{
	static const char *const names[] = {"01:00.0", "01:00.1", "02:00.0", "03:00.0", "04:00.0"};
	static const char *const parts[] = {"/driver", "/class", ""};
	static const char *const folders[] = {"/bus/pci/devices", "/bus/pci", "/bus", ""};
	char path[128];

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		for (size_t j = 0; j < ARRAY_SIZE(parts); j++) {
			snprintf(path, sizeof(path), "%s/bus/pci/devices/0000:%s%s", sysfs,
				names[i], parts[j]);
			(void)remove(path);
		}
	for (size_t i = 0; i < ARRAY_SIZE(folders); i++) {
		snprintf(path, sizeof(path), "%s%s", sysfs, folders[i]);
		(void)rmdir(path);
	}
}

static void takes_what_dpdk_can_drive(void)
{
	char why[512] = "";

	make_sysfs();
	CU_ASSERT_EQUAL(pci_check(sysfs, "0000:01:00.0", why, sizeof(why)), ERR_NONE);
	CU_ASSERT_EQUAL(pci_check(sysfs, "0000:02:00.0", why, sizeof(why)), ERR_NONE);
}

static void says_what_to_type(void)
{
	static const struct {
		const char *address, *said;
	} rows[] = {
		{"0000:01:00", "\"0000:01:00\" is no PCI address such as 0000:01:00.0"},
		{"0000:09:00.0",
			"there is no PCI device 0000:09:00.0; `lspci -D | grep -i net` lists "
			"what there is"},
		{"0000:04:00.0", "PCI device 0000:04:00.0 is no network card (class 01); "
				 "`lspci -D | grep -i net` lists what there is"},
		{"0000:03:00.0", "PCI device 0000:03:00.0 has no driver; type as root: modprobe "
				 "vfio-pci; echo vfio-pci > "
				 "/sys/bus/pci/devices/0000:03:00.0/driver_override; "
				 "echo 0000:03:00.0 > /sys/bus/pci/drivers_probe"},
		{"0000:01:00.1",
			"PCI device 0000:01:00.1 is the kernel's, by driver ixgbe; type as root: "
			"modprobe vfio-pci; echo vfio-pci > "
			"/sys/bus/pci/devices/0000:01:00.1/driver_override; "
			"echo 0000:01:00.1 > /sys/bus/pci/devices/0000:01:00.1/driver/unbind; "
			"echo 0000:01:00.1 > /sys/bus/pci/drivers_probe"},
	};

	make_sysfs();
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		char why[512] = "";
		CU_ASSERT_EQUAL(
			pci_check(sysfs, rows[i].address, why, sizeof(why)), ERR_NIC_CONFIG);
		CU_ASSERT_STRING_EQUAL(why, rows[i].said);
	}
}

static void addresses(void)
{
	static const struct {
		const char *text;
		bool good;
	} rows[] = {{"0000:01:00.0", true}, {"abcd:EF:1f.7", true}, {"0000:01:00.8", false},
		{"0000:01:00.a", false}, {"01:00.0", false}, {"", false}, {"0000:01:00.00", false},
		{"0000-01:00.0", false}, {"0000:0g:00.0", false}, {"../../:01:00", false}};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		CU_ASSERT_EQUAL(pci_address_good(rows[i].text), rows[i].good);
}

static const struct unit_test tests[] = {
	{"takes_what_dpdk_can_drive", takes_what_dpdk_can_drive},
	{"says_what_to_type", says_what_to_type},
	{"addresses", addresses},
};

int main(int argc, char **argv)
{
	if (atexit(remove_sysfs) != 0)
		return 100;
	return UNIT_MAIN("pci", tests, argc, argv);
}
