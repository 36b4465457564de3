/* recovery.h - what a store's files must pass before RocksDB may read them. */
#pragma once
#include "storage/rocks/rocks.h"

/* Refuses damage that RocksDB would not see; cuts torn ends off that it would refuse. */
MUST_USE enum err rocks_recover(const char *directory, char why[STORAGE_WHY_MAX]);
