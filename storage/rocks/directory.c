/* directory.c - what must be so before RocksDB may open a directory. */
#include "storage/rocks/directory.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

enum { ROOM_BYTES = 1 << 20 /* for what is small: MANIFEST, options, a log */ };

static enum err fail(const char *what, const char *directory, char why[STORAGE_WHY_MAX])
{
	const enum err err = errno == ENOSPC || errno == EDQUOT ? ERR_STORAGE_FULL : ERR_STORAGE_IO;

	snprintf(why, STORAGE_WHY_MAX, "%s: %s: %s", directory, what, strerror(errno));
	return err;
}

/* The entry of a directory that was just made must survive, too. */
static enum err sync_parent(const char *directory, char why[STORAGE_WHY_MAX])
{
	char parent[PATH_MAX];

	snprintf(parent, sizeof(parent), "%s/..", directory);
	const int fd = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return fail("its parent cannot be opened", directory, why);
	const int failed = fsync(fd);
	const enum err err =
		failed ? fail("its parent cannot be synced", directory, why) : ERR_NONE;
	close(fd);
	return err;
}

static bool begins(const char *name, const char *with)
{
	return strncmp(name, with, strlen(with)) == 0;
}

static bool ends(const char *name, const char *with)
{
	const size_t size = strlen(name), tail = strlen(with);

	return size >= tail && strcmp(name + size - tail, with) == 0;
}

/* What a power cut may leave of a store that was just being made: RocksDB begins its journal
 * when CURRENT is on the disk. */
static bool is_beginning(const char *name)
{
	if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0 || strcmp(name, "lost+found") == 0)
		return true;
	return begins(name, "LOG") || strcmp(name, "LOCK") == 0 || begins(name, "IDENTITY") ||
	       begins(name, "MANIFEST-") || ends(name, ".dbtmp");
}

static enum err check_contents(DIR *d, const char *directory, char why[STORAGE_WHY_MAX])
{
	const struct dirent *entry;
	char foreign[NAME_MAX + 1] = "";
	bool current = false;

	while ((entry = readdir(d)) != NULL) {
		current |= strcmp(entry->d_name, "CURRENT") == 0;
		if (!is_beginning(entry->d_name))
			snprintf(foreign, sizeof(foreign), "%s", entry->d_name);
	}
	if (current || foreign[0] == '\0')
		return ERR_NONE;
	snprintf(why, STORAGE_WHY_MAX,
		"%s: holds files (%.100s) but no store: its CURRENT is missing", directory,
		foreign);
	return ERR_STORAGE_CORRUPT;
}

static enum err check_directory(int fd, const char *directory, char why[STORAGE_WHY_MAX])
{
	if (faccessat(fd, ".", R_OK | W_OK | X_OK, AT_EACCESS) != 0)
		return fail("the directory may not be written", directory, why);
	if (flock(fd, LOCK_EX | LOCK_NB) != 0)
		return fail("the store is open already", directory, why);
	DIR *d = opendir(directory);
	if (d == NULL)
		return fail("the directory cannot be read", directory, why);
	const enum err err = check_contents(d, directory, why);
	closedir(d);
	return err;
}

/* Bytes of the journals, which open makes tables of. */
static uint64_t journal_bytes(int fd)
{
	const int copy = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = copy < 0 ? NULL : fdopendir(copy);
	const struct dirent *entry;
	uint64_t bytes = 0;
	struct stat st;

	while (d != NULL && (entry = readdir(d)) != NULL)
		if (ends(entry->d_name, ".log") && fstatat(fd, entry->d_name, &st, 0) == 0)
			bytes += (uint64_t)st.st_size;
	if (d != NULL)
		closedir(d);
	else if (copy >= 0)
		close(copy);
	return bytes;
}

enum err rocks_directory_room(const char *directory, int fd, char why[STORAGE_WHY_MAX])
{
	struct statvfs v;

	if (fstatvfs(fd, &v) != 0)
		return fail("its file system does not answer", directory, why);
	const uint64_t free_bytes = (uint64_t)v.f_bavail * v.f_frsize;
	const uint64_t needed = journal_bytes(fd) + ROOM_BYTES;
	if (v.f_blocks == 0 || free_bytes >= needed)
		return ERR_NONE;
	snprintf(why, STORAGE_WHY_MAX,
		"%s: no space for the store: %llu bytes are free, and it needs %llu to be opened",
		directory, (unsigned long long)free_bytes, (unsigned long long)needed);
	return ERR_STORAGE_FULL;
}

enum err rocks_directory_lock(const char *directory, int *fd, char why[STORAGE_WHY_MAX])
{
	enum err err = ERR_NONE;

	*fd = -1;
	if (mkdir(directory, 0700) == 0)
		err = sync_parent(directory, why);
	else if (errno != EEXIST)
		err = fail("the directory cannot be made", directory, why);
	if (err != ERR_NONE)
		return err;
	*fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (*fd < 0)
		return fail("the directory cannot be opened", directory, why);
	err = check_directory(*fd, directory, why);
	if (err != ERR_NONE) {
		close(*fd);
		*fd = -1;
	}
	return err;
}
