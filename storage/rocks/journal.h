/* journal.h - is a journal file whole, torn by a power cut, or damaged? Asked before RocksDB reads
 * it.
 *
 * RocksDB takes a length that leads behind the end of the file for a torn end, and a first record
 * of an unknown type for the end of it all: one flipped bit, and what was acknowledged is gone
 * without a word. And zeros, which a file system may leave where it had not yet written, it skips
 * or refuses, as it happens. So it is judged here first.
 *
 * Each batch ends with a claim: how many batches of its file were on the disk when it was written.
 * What a later record claims is no torn end. Pure; RocksDB's format of logs (WAL and MANIFEST):
 *
 *	block (32 KiB) = record* zeros      record = crc32c:32 length:16 type:8 bytes
 *
 * Not here: what is in a batch, files (recovery.c). */
#pragma once
#include "dataplane/base/attr.h"
#include "dataplane/base/span.h"

enum { JOURNAL_CLAIM = 9 };

enum journal_verdict {
	JOURNAL_WHOLE,  /* or its last record is not: RocksDB does right */
	JOURNAL_TORN,   /* zeros where something was to be: to be cut off at *at */
	JOURNAL_DAMAGED /* at *at */
};

MUST_USE enum journal_verdict journal_check(struct span file, size_t *at);

/* The log data that is put behind a batch: `synced` batches of its file are on the disk. */
void journal_claim(uint8_t to[JOURNAL_CLAIM], uint64_t synced);

uint32_t journal_crc(struct span bytes); /* crc32c, masked as in a record */
