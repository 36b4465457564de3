/* recovery.c - reads the journal and the MANIFEST of a store that is not open. */
#include "storage/rocks/recovery.h"

#include "storage/rocks/journal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* One file of the store, read whole. */
struct file {
	const char *directory, *name;
	int fd;
	uint8_t *bytes;
	size_t size;
};

static enum err fail(const struct file *f, const char *what, char why[STORAGE_WHY_MAX])
{
	snprintf(why, STORAGE_WHY_MAX, "%s/%s: %s: %s", f->directory, f->name, what,
		strerror(errno));
	return errno == ENOSPC ? ERR_STORAGE_FULL : ERR_STORAGE_IO;
}

static bool read_all(struct file *f)
{
	size_t done = 0;

	while (done < f->size) {
		const ssize_t n = pread(f->fd, f->bytes + done, f->size - done, (off_t)done);
		if (n < 0)
			return false;
		if (n == 0)
			f->size = done;
		done += (size_t)n;
	}
	return true;
}

static bool file_create(struct file *f, int folder)
{
	struct stat s;

	f->fd = openat(folder, f->name, O_RDWR | O_CLOEXEC);
	if (f->fd < 0 || fstat(f->fd, &s) != 0)
		return false;
	f->size = (size_t)s.st_size;
	f->bytes = (uint8_t *)malloc(f->size + 1);
	return f->bytes != NULL && read_all(f);
}

static void file_drop(struct file *f)
{
	free(f->bytes);
	if (f->fd >= 0)
		close(f->fd);
}

/* What was torn was never on the disk, and so never answered for. */
static enum err cut_off(const struct file *f, size_t at, char why[STORAGE_WHY_MAX])
{
	if (ftruncate(f->fd, (off_t)at) != 0 || fsync(f->fd) != 0)
		return fail(f, "its torn end cannot be cut off", why);
	return ERR_NONE;
}

static enum err check(struct file *f, char why[STORAGE_WHY_MAX])
{
	size_t at;

	switch (journal_check(span_of(f->bytes, f->size), &at)) {
	case JOURNAL_WHOLE:
		break;
	case JOURNAL_TORN:
		return cut_off(f, at, why);
	case JOURNAL_DAMAGED:
		snprintf(why, STORAGE_WHY_MAX, "%s/%s: corruption at byte %zu of %zu", f->directory,
			f->name, at, f->size);
		return ERR_STORAGE_CORRUPT;
	}
	return ERR_NONE;
}

static enum err check_file(
	DIR *d, const char *directory, const char *name, char why[STORAGE_WHY_MAX])
{
	struct file f = {.directory = directory, .name = name, .fd = -1};
	const enum err err =
		file_create(&f, dirfd(d)) ? check(&f, why) : fail(&f, "cannot be read", why);

	file_drop(&f);
	return err;
}

static bool is_journal(const char *name)
{
	const size_t digits = strspn(name, "0123456789");

	return digits > 0 && strcmp(name + digits, ".log") == 0;
}

/* CURRENT names the MANIFEST. One that makes no sense is RocksDB's to refuse. */
static enum err check_manifest(DIR *d, const char *directory, char why[STORAGE_WHY_MAX])
{
	struct file f = {.directory = directory, .name = "CURRENT", .fd = -1};
	enum err err = ERR_NONE;

	if (!file_create(&f, dirfd(d))) {
		if (errno != ENOENT)
			err = fail(&f, "cannot be read", why);
	} else if (f.size > 0 && f.bytes[f.size - 1] == '\n') {
		f.bytes[f.size - 1] = '\0';
		const char *name = (const char *)f.bytes;
		if (strchr(name, '/') == NULL && faccessat(dirfd(d), name, F_OK, 0) == 0)
			err = check_file(d, directory, name, why);
	}
	file_drop(&f);
	return err;
}

enum err rocks_recover(const char *directory, char why[STORAGE_WHY_MAX])
{
	const struct file whole = {.directory = directory, .name = "."};
	DIR *d = opendir(directory);
	const struct dirent *entry;

	if (d == NULL)
		return fail(&whole, "cannot be opened", why);
	enum err err = check_manifest(d, directory, why);
	while (err == ERR_NONE && (entry = readdir(d)) != NULL)
		if (is_journal(entry->d_name))
			err = check_file(d, directory, entry->d_name, why);
	closedir(d);
	return err;
}
