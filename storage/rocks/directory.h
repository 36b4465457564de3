/* directory.h - is this directory a store, or may it become one? Asked before RocksDB is.
 *
 * RocksDB makes a new, empty store where its CURRENT is missing, and deletes the tables of
 * the old one. Here such a directory is refused. */
#pragma once
#include "storage/rocks/rocks.h"

/* Makes it if it is missing, and its entry durable. */
MUST_USE enum err rocks_directory_prepare(const char *directory, char why[STORAGE_WHY_MAX]);
