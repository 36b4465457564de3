/* disk.c - the model of a disk with a cache, and what is left of it. */
#include "tests/durability/disk.h"

#include "dataplane/base/rng.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { NAME_SIZE = 64, NAMES_MAX = 4096, SECTOR = 512, PATH_SIZE = 4096 };

/* To a file: `bytes` at `at`; bytes NULL: its size is now `at`. */
struct change {
	uint64_t at;
	size_t size;
	uint8_t *bytes;
};

struct disk_file {
	uint8_t *bytes; /* on the disk */
	uint64_t size;
	struct change *changes; /* since; those before `synced` are on the disk, and empty */
	uint64_t count, room, synced;
};

struct name {
	char text[NAME_SIZE];
	struct disk_file *file;
};

/* A file's new name; file NULL: the name is gone. A rename is two of them, and one step. */
struct name_change {
	struct name set, gone;
};

struct names {
	struct name name[NAMES_MAX];
	size_t count;
};

static struct names now, durable;
static struct name_change *name_changes;
static uint64_t name_change_count, name_change_room, names_synced;

/* Of the process's own calls none may be of those that are watched. */

static void give_up(const char *why)
{
	dprintf(STDERR_FILENO, "powercut: %s\n", why);
	_exit(99);
}

static void *memory(void *old, size_t size)
{
	void *p = realloc(old, size);

	if (p == NULL)
		give_up("no memory");
	return p;
}

static void write_all(int fd, const uint8_t *bytes, uint64_t size)
{
	while (size > 0) {
		const long n = syscall(SYS_write, fd, bytes, size);
		if (n <= 0)
			give_up("the image cannot be written");
		bytes += n;
		size -= (uint64_t)n;
	}
}

/* Names */

static struct name *name_find(struct names *names, const char *text)
{
	for (size_t i = 0; i < names->count; i++)
		if (strcmp(names->name[i].text, text) == 0)
			return &names->name[i];
	return NULL;
}

static void name_apply(struct names *names, const struct name *change)
{
	struct name *n = name_find(names, change->text);

	if (change->text[0] == '\0')
		return;
	if (change->file == NULL && n != NULL) {
		*n = names->name[--names->count];
	} else if (change->file != NULL) {
		if (n == NULL && names->count == NAMES_MAX)
			give_up("too many files");
		if (n == NULL)
			n = &names->name[names->count++];
		*n = *change;
	}
}

static void change_apply(struct names *names, const struct name_change *c)
{
	name_apply(names, &c->gone);
	name_apply(names, &c->set);
}

static struct name name_of(const char *text, struct disk_file *file)
{
	struct name n = {.file = file};

	if (strlen(text) >= NAME_SIZE)
		give_up("a name is too long");
	snprintf(n.text, sizeof(n.text), "%s", text);
	return n;
}

static void change_names(struct name_change c)
{
	if (name_change_count == name_change_room) {
		name_change_room = 2 * name_change_room + 64;
		name_changes = (struct name_change *)memory(
			name_changes, name_change_room * sizeof(*name_changes));
	}
	name_changes[name_change_count++] = c;
	change_apply(&now, &c);
}

struct disk_file *disk_find(const char *name)
{
	const struct name *n = name_find(&now, name);

	return n == NULL ? NULL : n->file;
}

static struct disk_file *new_file(void)
{
	struct disk_file *f = (struct disk_file *)memory(NULL, sizeof(*f));

	*f = (struct disk_file){0};
	return f;
}

struct disk_file *disk_create_file(const char *name)
{
	struct disk_file *f = new_file();

	change_names((struct name_change){.set = name_of(name, f)});
	return f;
}

void disk_rename(const char *from, const char *to)
{
	struct disk_file *f = disk_find(from);

	if (f != NULL)
		change_names(
			(struct name_change){.set = name_of(to, f), .gone = name_of(from, NULL)});
}

void disk_unlink(const char *name)
{
	if (disk_find(name) != NULL)
		change_names((struct name_change){.gone = name_of(name, NULL)});
}

uint64_t disk_name_changes(void)
{
	return name_change_count;
}

void disk_sync_names(uint64_t changes)
{
	for (; names_synced < changes; names_synced++)
		change_apply(&durable, &name_changes[names_synced]);
}

/* Contents */

static void resize(struct disk_file *f, uint64_t size)
{
	if (size > f->size) {
		f->bytes = (uint8_t *)memory(f->bytes, size);
		memset(f->bytes + f->size, 0, size - f->size);
	}
	f->size = size;
}

static void apply(struct disk_file *f, uint64_t at, const uint8_t *bytes, size_t size)
{
	if (at + size > f->size)
		resize(f, at + size);
	if (size > 0)
		memcpy(f->bytes + at, bytes, size);
}

static void file_change(struct disk_file *f, struct change c)
{
	if (f->count == f->room) {
		f->room = 2 * f->room + 64;
		f->changes = (struct change *)memory(f->changes, f->room * sizeof(*f->changes));
	}
	f->changes[f->count++] = c;
}

void disk_write(struct disk_file *f, uint64_t at, const void *bytes, size_t size)
{
	struct change c = {at, size, (uint8_t *)memory(NULL, size + 1)};

	memcpy(c.bytes, bytes, size);
	file_change(f, c);
}

void disk_resize(struct disk_file *f, uint64_t size)
{
	file_change(f, (struct change){.at = size});
}

uint64_t disk_changes(const struct disk_file *f)
{
	return f->count;
}

static void survive(struct disk_file *f, const struct change *c, size_t size)
{
	if (c->bytes == NULL)
		resize(f, c->at);
	else
		apply(f, c->at, c->bytes, size);
}

void disk_sync(struct disk_file *f, uint64_t changes)
{
	for (; f->synced < changes; f->synced++) {
		struct change *c = &f->changes[f->synced];
		survive(f, c, c->size);
		free(c->bytes);
		c->bytes = NULL;
	}
}

static void load_file(int folder, const char *name)
{
	uint8_t bytes[65536];
	struct disk_file *f = new_file();
	const int fd = (int)syscall(SYS_openat, folder, name, O_RDONLY);
	ssize_t n;

	if (fd < 0)
		give_up("a file cannot be read");
	while ((n = read(fd, bytes, sizeof(bytes))) > 0)
		apply(f, f->size, bytes, (size_t)n);
	(void)syscall(SYS_close, fd);
	const struct name_change c = {.set = name_of(name, f)};
	change_apply(&now, &c);
	change_apply(&durable, &c);
}

void disk_load(const char *directory)
{
	DIR *d = opendir(directory);
	const struct dirent *entry;

	if (d == NULL)
		give_up("the directory cannot be read");
	while ((entry = readdir(d)) != NULL)
		if (entry->d_type == DT_REG)
			load_file(dirfd(d), entry->d_name);
	closedir(d);
}

/* The cut. What is not synced: nothing of it survives, or all, or what the dice say. */

enum fate { NOTHING, EVERYTHING, BEGINNING, HOLES };

static enum fate fate(struct rng *rng, bool holes)
{
	return (enum fate)rng_below(rng, holes ? 4 : 3);
}

/* A write that was under way: up to a border of sectors. */
static size_t torn_size(const struct change *c, struct rng *rng)
{
	const uint64_t sectors = (c->at + c->size) / SECTOR - c->at / SECTOR;
	const uint64_t border = (c->at / SECTOR + rng_below(rng, (uint32_t)sectors + 1)) * SECTOR;

	return border <= c->at ? 0 : (size_t)(border - c->at);
}

static void survive_beginning(struct disk_file *f, struct rng *rng)
{
	const uint64_t whole = f->synced + rng_below(rng, (uint32_t)(f->count - f->synced) + 1);

	for (uint64_t i = f->synced; i < whole; i++)
		survive(f, &f->changes[i], f->changes[i].size);
	if (whole < f->count && f->changes[whole].bytes != NULL)
		survive(f, &f->changes[whole], torn_size(&f->changes[whole], rng));
}

/* All sizes survive; of the sectors that nothing synced, some read as zeros. */
static void survive_with_holes(struct disk_file *f, struct rng *rng)
{
	const uint64_t safe = f->size;

	for (uint64_t i = f->synced; i < f->count; i++)
		survive(f, &f->changes[i], f->changes[i].size);
	for (uint64_t at = (safe + SECTOR - 1) / SECTOR * SECTOR; at < f->size; at += SECTOR)
		if (rng_below(rng, 4) == 0)
			memset(f->bytes + at, 0, f->size - at < SECTOR ? f->size - at : SECTOR);
}

static void survive_file(struct disk_file *f, struct rng *rng, bool holes)
{
	const enum fate what = fate(rng, holes);

	if (what == HOLES)
		survive_with_holes(f, rng);
	else if (what == BEGINNING)
		survive_beginning(f, rng);
	else if (what == EVERYTHING)
		disk_sync(f, f->count);
}

/* In order up to some point: a file system's journal keeps the order of names. RocksDB relies on
 * that: it renames CURRENT before it syncs the directory with the MANIFEST that is named there. */
static void survive_names(struct rng *rng)
{
	const enum fate what = fate(rng, false);
	const uint64_t left = name_change_count - names_synced;

	if (what == EVERYTHING)
		disk_sync_names(name_change_count);
	else if (what == BEGINNING)
		disk_sync_names(names_synced + rng_below(rng, (uint32_t)left + 1));
}

void disk_write_image(const char *directory, uint64_t seed, bool holes)
{
	struct rng rng = rng_from(seed);
	char path[PATH_SIZE];

	survive_names(&rng);
	for (size_t i = 0; i < durable.count; i++) {
		struct disk_file *f = durable.name[i].file;
		survive_file(f, &rng, holes);
		snprintf(path, sizeof(path), "%s/%s", directory, durable.name[i].text);
		const int fd = (int)syscall(
			SYS_openat, AT_FDCWD, path, O_CREAT | O_TRUNC | O_WRONLY, 0600);
		if (fd < 0)
			give_up("the image cannot be made");
		write_all(fd, f->bytes, f->size);
		(void)syscall(SYS_close, fd);
	}
}
