/* attach_test.c - the option that names descriptors: what is mapped, what is refused, who may
 * write. */
#include "dataplane/shm/attach.h"

#include "tests/unit/unit.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

enum { WORKERS = 2 };

/* A region as the launcher makes it. */
static int region_fd(enum shm_region kind, uint32_t workers)
{
	const size_t size = shm_region_bytes(kind, workers);
	const int fd = memfd_create("attach_test", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	CU_ASSERT_FATAL(fd >= 0 && ftruncate(fd, (off_t)size) == 0);
	void *base = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	CU_ASSERT_FATAL(base != MAP_FAILED);
	shm_region_init(base, kind, workers);
	munmap(base, size);
	return fd;
}

static int read_only(int fd)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	const int out = open(path, O_RDONLY | O_CLOEXEC);
	CU_ASSERT_FATAL(out >= 0);
	close(fd);
	return out;
}

static bool is_open(int fd)
{
	return fcntl(fd, F_GETFD) >= 0;
}

static void regions_are_mapped_with_their_rights(void)
{
	const int dp = region_fd(SHM_DP, WORKERS);
	const int cp = read_only(region_fd(SHM_CP, WORKERS));
	const int bell = eventfd(0, 0);
	char spec[128];
	struct shm_map map;

	snprintf(spec, sizeof(spec), "dp=%d:rw,cp=%d:ro,doorbell=%d", dp, cp, bell);
	CU_ASSERT(shm_attach(spec, &map) == ERR_NONE);
	CU_ASSERT(map.base[SHM_DP] != NULL && map.view[SHM_DP] == map.base[SHM_DP]);
	CU_ASSERT(map.base[SHM_CP] == NULL && map.view[SHM_CP] != NULL);
	CU_ASSERT(map.view[SHM_LAUNCHER] == NULL);
	CU_ASSERT(map.workers == WORKERS && map.doorbell == bell);
	CU_ASSERT(!is_open(dp) && !is_open(cp));
	CU_ASSERT(fcntl(bell, F_GETFD) == FD_CLOEXEC);
	/* A mapped read-only region cannot be made writable again. */
	void *view = (void *)(uintptr_t)map.view[SHM_CP];
	CU_ASSERT(mprotect(view, SHM_PAGE, PROT_READ | PROT_WRITE) != 0);
	shm_detach(&map);
	CU_ASSERT(map.view[SHM_DP] == NULL && !is_open(bell));
}

static void a_reader_cannot_map_for_writing(void)
{
	const int cp = read_only(region_fd(SHM_CP, WORKERS));
	char spec[64];
	struct shm_map map;

	snprintf(spec, sizeof(spec), "cp=%d:rw", cp);
	CU_ASSERT(shm_attach(spec, &map) == ERR_SHM_ATTACH);
	CU_ASSERT(strncmp(map.why, "cp: ", 4) == 0);
	CU_ASSERT(map.base[SHM_CP] == NULL && map.view[SHM_CP] == NULL);
	close(cp);
}

static void nonsense_is_refused_with_a_reason(void)
{
	/* %d: a good region of kind CP. */
	static const struct {
		const char *spec;
		enum err err;
		const char *why;
	} rows[] = {
		{"", ERR_SHM_ATTACH, "--shm: names no region"},
		{"cp", ERR_SHM_ATTACH, "cp: is not NAME=FD:rw or NAME=FD:ro"},
		{"cp=", ERR_SHM_ATTACH, "cp=: is not NAME=FD:rw or NAME=FD:ro"},
		{"=3:rw", ERR_SHM_ATTACH, "=3:rw: is not NAME=FD:rw or NAME=FD:ro"},
		{"cp=%d", ERR_SHM_ATTACH, NULL},
		{"cp=%d:rx", ERR_SHM_ATTACH, NULL},
		{"cp=-1:rw", ERR_SHM_ATTACH, "cp=-1:rw: is not NAME=FD:rw or NAME=FD:ro"},
		{"cp=99999999999:rw", ERR_SHM_ATTACH, NULL},
		{"cp=%d:rwx", ERR_SHM_ATTACH, NULL},
		{"cp=%d:rw,", ERR_SHM_ATTACH, NULL},
		{"a_name_that_is_too_long=3:rw", ERR_SHM_ATTACH, NULL},
		{"cpu=%d:rw", ERR_SHM_ATTACH, "cpu: no such region"},
		{"cp=1000:rw", ERR_SHM_ATTACH, "cp: Bad file descriptor"},
		{"doorbell=1000", ERR_SHM_ATTACH, "doorbell: Bad file descriptor"},
		{"dp=%d:rw", ERR_ABI_MISMATCH, "dp: shared memory is of another version"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const int fd = region_fd(SHM_CP, WORKERS);
		char number[16], spec[64] = "";
		struct shm_map map;
		const char *hole = strstr(rows[i].spec, "%d");

		snprintf(number, sizeof(number), "%d", fd);
		if (hole == NULL)
			snprintf(spec, sizeof(spec), "%s", rows[i].spec);
		else
			snprintf(spec, sizeof(spec), "%.*s%s%s", (int)(hole - rows[i].spec),
				rows[i].spec, number, hole + 2);
		CU_ASSERT(shm_attach(spec, &map) == rows[i].err);
		CU_ASSERT(map.why[0] != '\0');
		if (rows[i].why != NULL)
			CU_ASSERT_STRING_EQUAL(map.why, rows[i].why);
		close(fd);
	}
}

static void regions_must_belong_together(void)
{
	char spec[64];
	struct shm_map map;

	snprintf(spec, sizeof(spec), "cp=%d:rw,dp=%d:rw", region_fd(SHM_CP, 1),
		region_fd(SHM_DP, 2));
	CU_ASSERT(shm_attach(spec, &map) == ERR_ABI_MISMATCH);
	CU_ASSERT_STRING_EQUAL(map.why, "dp: is for another number of workers");
	snprintf(spec, sizeof(spec), "cp=%d:rw,cp=%d:rw", region_fd(SHM_CP, 1),
		region_fd(SHM_CP, 1));
	CU_ASSERT(shm_attach(spec, &map) == ERR_SHM_ATTACH);
	CU_ASSERT_STRING_EQUAL(map.why, "cp: given twice");
	CU_ASSERT(map.view[SHM_CP] == NULL);
}

static void what_is_no_region_is_refused(void)
{
	int ends[2];
	char spec[64];
	struct shm_map map;

	CU_ASSERT_FATAL(pipe(ends) == 0);
	snprintf(spec, sizeof(spec), "cp=%d:ro", ends[0]);
	CU_ASSERT(shm_attach(spec, &map) == ERR_SHM_ATTACH);
	CU_ASSERT_STRING_EQUAL(map.why, "cp: is no region");
	close(ends[0]);
	close(ends[1]);
	const int small = memfd_create("small", MFD_CLOEXEC);
	snprintf(spec, sizeof(spec), "cp=%d:ro", small);
	CU_ASSERT(shm_attach(spec, &map) == ERR_SHM_ATTACH);
	close(small);
}

static const struct unit_test tests[] = {
	{"regions_are_mapped_with_their_rights", regions_are_mapped_with_their_rights},
	{"a_reader_cannot_map_for_writing", a_reader_cannot_map_for_writing},
	{"nonsense_is_refused_with_a_reason", nonsense_is_refused_with_a_reason},
	{"regions_must_belong_together", regions_must_belong_together},
	{"what_is_no_region_is_refused", what_is_no_region_is_refused},
};

int main(int argc, char **argv)
{
	return UNIT_MAIN("attach", tests, argc, argv);
}
