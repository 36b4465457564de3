/* directory.h - is this directory a store, or may it become one? Asked before RocksDB is.
 *
 * RocksDB makes a new, empty store where its CURRENT is missing, and deletes the tables of
 * the old one. Here such a directory is refused. */
#pragma once
#include "storage/rocks/rocks.h"

/* Makes it if it is missing, and its entry durable. *fd is the directory, locked against all other
 * stores until it is closed; -1 with an error. RocksDB's own lock comes too late: files are read,
 * and may be cut, before. */
MUST_USE enum err rocks_directory_lock(const char *directory, int *fd, char why[STORAGE_WHY_MAX]);
/* Room for tables of its journals? Where there is none, the packaged RocksDB fails an assertion
 * instead of saying so. */
MUST_USE enum err rocks_directory_room(const char *directory, int fd, char why[STORAGE_WHY_MAX]);
