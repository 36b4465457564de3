/* powercut.c - a library to preload: the files of one directory are on a disk whose power goes.
 *
 *	LD_PRELOAD=libpowercut.so POWERCUT_DIRECTORY=/store POWERCUT_AT=1234 POWERCUT_SEED=5 \
 *		POWERCUT_IMAGE=/image PROGRAM
 *
 * Counts the calls that change or sync something below POWERCUT_DIRECTORY (absolute, flat). At the
 * POWERCUT_AT-th it writes to POWERCUT_IMAGE, an empty directory, what the disk would hold
 * (disk.h), and kills the process. With POWERCUT_NAME=n it counts from the n-th file on that is
 * made, renamed or removed. POWERCUT_HOLES=1: see disk_write_image. Nothing is really synced; a
 * sync takes POWERCUT_SYNC_US.
 *
 * And errors: from the POWERCUT_FAIL_WRITE-th write, or POWERCUT_FAIL_SYNC-th sync on, all of
 * them fail with errno POWERCUT_ERRNO.
 *
 * Watched: what RocksDB and the C library's own users call. Not stdio: it keeps no data here. */
#undef _FILE_OFFSET_BITS /* else open would be named open64, and so on: both are needed here */
#include "tests/durability/disk.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum { FDS_MAX = 65536 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static const char *directory;
static size_t directory_size;
static struct disk_file *files[FDS_MAX];
static bool folders[FDS_MAX];
static uint64_t calls, cut_at, names, cut_name, writes, fail_write_at, syncs, fail_sync_at;
static long sync_us;
static int fail_errno;

static uint64_t number(const char *name, uint64_t otherwise)
{
	const char *text = getenv(name);

	return text == NULL ? otherwise : strtoull(text, NULL, 0);
}

__attribute__((constructor)) static void begin(void)
{
	const char *where = getenv("POWERCUT_DIRECTORY");

	if (where == NULL)
		return;
	cut_at = number("POWERCUT_AT", 0);
	cut_name = number("POWERCUT_NAME", 0);
	fail_write_at = number("POWERCUT_FAIL_WRITE", 0);
	fail_sync_at = number("POWERCUT_FAIL_SYNC", 0);
	fail_errno = (int)number("POWERCUT_ERRNO", EIO);
	sync_us = (long)number("POWERCUT_SYNC_US", 50);
	disk_load(where);
	directory_size = strlen(where);
	directory = where;
}

/* The name of a file of the directory; NULL: it is none. */
static const char *name_in(const char *path)
{
	if (directory == NULL || strncmp(path, directory, directory_size) != 0)
		return NULL;
	if (path[directory_size] != '/')
		return NULL;
	path += directory_size;
	while (*path == '/')
		path++;
	return *path == '\0' || strchr(path, '/') != NULL ? NULL : path;
}

static bool is_directory(const char *path)
{
	if (directory == NULL || strncmp(path, directory, directory_size) != 0)
		return false;
	return strspn(path + directory_size, "/") == strlen(path + directory_size);
}

/* With the lock held, which is never given back if this is the end. */
static void count_call(void)
{
	if (names < cut_name || ++calls != cut_at)
		return;
	disk_write_image(getenv("POWERCUT_IMAGE"), number("POWERCUT_SEED", 1),
		number("POWERCUT_HOLES", 0) != 0);
	kill(getpid(), SIGKILL);
	for (;;)
		pause();
}

static void count_name(void)
{
	names++;
	count_call();
}

static bool watched(int fd)
{
	return directory != NULL && fd >= 0 && fd < FDS_MAX && (files[fd] != NULL || folders[fd]);
}

static bool fails(uint64_t *count, uint64_t at)
{
	if (at == 0 || ++*count < at)
		return false;
	errno = fail_errno;
	return true;
}

/* Names */

static void note_open(int fd, const char *path, int flags)
{
	const char *name = name_in(path);

	folders[fd] = is_directory(path);
	files[fd] = name == NULL ? NULL : disk_find(name);
	if (name == NULL)
		return;
	if (files[fd] == NULL) {
		if ((flags & O_CREAT) != 0)
			files[fd] = disk_create_file(name);
		count_name();
	} else if ((flags & O_TRUNC) != 0) {
		disk_resize(files[fd], 0);
		count_call();
	}
}

static int open_any(int at, const char *path, int flags, mode_t mode)
{
	pthread_mutex_lock(&lock);
	const int fd = (int)syscall(SYS_openat, at, path, flags, mode);
	if (directory != NULL && fd >= 0 && fd < FDS_MAX)
		note_open(fd, path, flags);
	pthread_mutex_unlock(&lock);
	return fd;
}

/* The C library's headers name the parameters __fd and the like.
 * NOLINTBEGIN(readability-inconsistent-declaration-parameter-name) */

static mode_t mode_of(int flags, va_list rest)
{
	return (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(rest, mode_t) : 0;
}

int open(const char *path, int flags, ...)
{
	va_list rest;

	va_start(rest, flags);
	const mode_t mode = mode_of(flags, rest);
	va_end(rest);
	return open_any(AT_FDCWD, path, flags, mode);
}

int open64(const char *path, int flags, ...) __attribute__((alias("open")));

int openat(int at, const char *path, int flags, ...)
{
	va_list rest;

	va_start(rest, flags);
	const mode_t mode = mode_of(flags, rest);
	va_end(rest);
	return open_any(at, path, flags, mode);
}

int close(int fd)
{
	pthread_mutex_lock(&lock);
	if (fd >= 0 && fd < FDS_MAX) {
		files[fd] = NULL;
		folders[fd] = false;
	}
	const long done = syscall(SYS_close, fd);
	pthread_mutex_unlock(&lock);
	return (int)done;
}

int rename(const char *from, const char *to)
{
	pthread_mutex_lock(&lock);
	const long done = syscall(SYS_rename, from, to);
	if (done == 0 && name_in(from) != NULL && name_in(to) != NULL) {
		disk_rename(name_in(from), name_in(to));
		count_name();
	}
	pthread_mutex_unlock(&lock);
	return (int)done;
}

int unlink(const char *path)
{
	pthread_mutex_lock(&lock);
	const long done = syscall(SYS_unlink, path);
	if (done == 0 && name_in(path) != NULL) {
		disk_unlink(name_in(path));
		count_name();
	}
	pthread_mutex_unlock(&lock);
	return (int)done;
}

/* Contents */

static ssize_t write_watched(int fd, const void *bytes, size_t size, off_t at)
{
	pthread_mutex_lock(&lock);
	const bool here = at < 0;
	const off_t where = here ? lseek(fd, 0, SEEK_CUR) : at;
	ssize_t done = -1;
	if (!fails(&writes, fail_write_at))
		done = here ? syscall(SYS_write, fd, bytes, size)
			    : syscall(SYS_pwrite64, fd, bytes, size, at);
	if (done > 0) {
		disk_write(files[fd], (uint64_t)where, bytes, (size_t)done);
		count_call();
	}
	pthread_mutex_unlock(&lock);
	return done;
}

ssize_t write(int fd, const void *bytes, size_t size)
{
	if (!watched(fd))
		return syscall(SYS_write, fd, bytes, size);
	return write_watched(fd, bytes, size, -1);
}

ssize_t pwrite(int fd, const void *bytes, size_t size, off_t at)
{
	if (!watched(fd))
		return syscall(SYS_pwrite64, fd, bytes, size, at);
	return write_watched(fd, bytes, size, at);
}

ssize_t pwrite64(int fd, const void *bytes, size_t size, off_t at) __attribute__((alias("pwrite")));

ssize_t writev(int fd, const struct iovec *parts, int count)
{
	ssize_t total = 0;

	if (!watched(fd))
		return syscall(SYS_writev, fd, parts, count);
	for (int i = 0; i < count; i++) {
		const ssize_t done = write(fd, parts[i].iov_base, parts[i].iov_len);
		if (done < 0)
			return total > 0 ? total : -1;
		total += done;
	}
	return total;
}

int ftruncate(int fd, off_t size)
{
	if (!watched(fd))
		return (int)syscall(SYS_ftruncate, fd, size);
	pthread_mutex_lock(&lock);
	const long done = syscall(SYS_ftruncate, fd, size);
	if (done == 0) {
		disk_resize(files[fd], (uint64_t)size);
		count_call();
	}
	pthread_mutex_unlock(&lock);
	return (int)done;
}

int ftruncate64(int fd, off_t size) __attribute__((alias("ftruncate")));

/* Room that does not show in the size is no change; no other kind is modelled. */
int fallocate(int fd, int mode, off_t at, off_t size)
{
	if (watched(fd) && mode != FALLOC_FL_KEEP_SIZE) {
		errno = EOPNOTSUPP;
		return -1;
	}
	return (int)syscall(SYS_fallocate, fd, mode, at, size);
}

int fallocate64(int fd, int mode, off_t at, off_t size) __attribute__((alias("fallocate")));

/* What is written into a mapping is not seen here: nobody may. */
void *mmap(void *at, size_t size, int protection, int flags, int fd, off_t from)
{
	if (watched(fd) && (flags & MAP_SHARED) != 0 && (protection & PROT_WRITE) != 0) {
		errno = EOPNOTSUPP;
		return MAP_FAILED;
	}
	return (void *)syscall(SYS_mmap, at, size, protection, flags, fd, from);
}

int link(const char *from, const char *to)
{
	if (name_in(from) != NULL || name_in(to) != NULL) {
		errno = EOPNOTSUPP;
		return -1;
	}
	return (int)syscall(SYS_link, from, to);
}

/* Syncs: what was there when the sync began is on the disk when it ends. */

static int sync_watched(int fd)
{
	pthread_mutex_lock(&lock);
	struct disk_file *f = files[fd];
	const uint64_t changes = f == NULL ? disk_name_changes() : disk_changes(f);
	const bool failed = fails(&syncs, fail_sync_at);
	count_call();
	pthread_mutex_unlock(&lock);
	if (failed)
		return -1;
	(void)ppoll(NULL, 0, &(struct timespec){.tv_nsec = sync_us * 1000}, NULL);
	pthread_mutex_lock(&lock);
	if (f == NULL)
		disk_sync_names(changes);
	else
		disk_sync(f, changes);
	pthread_mutex_unlock(&lock);
	return 0;
}

int fdatasync(int fd)
{
	return watched(fd) ? sync_watched(fd) : (int)syscall(SYS_fdatasync, fd);
}

int fsync(int fd)
{
	return watched(fd) ? sync_watched(fd) : (int)syscall(SYS_fsync, fd);
}

/* A hint: it promises nothing. */
int sync_file_range(int fd, off_t from, off_t size, unsigned flags)
{
	if (!watched(fd))
		return (int)syscall(SYS_sync_file_range, fd, from, size, flags);
	pthread_mutex_lock(&lock);
	count_call();
	pthread_mutex_unlock(&lock);
	return 0;
}

/* NOLINTEND(readability-inconsistent-declaration-parameter-name) */
