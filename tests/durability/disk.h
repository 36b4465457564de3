/* disk.h - what a power cut would leave of one directory: a model of a disk and its cache.
 *
 * Of each file it keeps the bytes that are certainly on the disk and, in order, the changes since;
 * of the directory the names that are on the disk, and the changes since. A sync moves the changes
 * of one file, or of the directory, to the disk. An image is the disk after a cut: of the changes a
 * choice survives, as the seed says. No locks: the caller has one. Process-wide: there is one disk.
 * Memory that is missing ends the process. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct disk_file;

/* What is in the directory now is on the disk. */
void disk_load(const char *directory);

/* NULL: no such file. */
struct disk_file *disk_find(const char *name);
struct disk_file *disk_create_file(const char *name); /* new and empty, under a new name */
void disk_rename(const char *from, const char *to);
void disk_unlink(const char *name);
/* How many changes of names there are; that many are on the disk after a sync that began now. */
uint64_t disk_name_changes(void);
void disk_sync_names(uint64_t changes);

void disk_write(struct disk_file *f, uint64_t at, const void *bytes, size_t size);
void disk_resize(struct disk_file *f, uint64_t size);
uint64_t disk_changes(const struct disk_file *f); /* as with names */
void disk_sync(struct disk_file *f, uint64_t changes);

/* `holes`: sectors of what is not synced may be missing in the middle, too, and read as zeros. */
void disk_write_image(const char *directory, uint64_t seed, bool holes);
