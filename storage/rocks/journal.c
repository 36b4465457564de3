/* journal.c - walks the records of a log; where one is not as it was written, asks why. */
#include "storage/rocks/journal.h"

#include <pthread.h>

enum {
	BLOCK = 32768,
	HEADER = 7,
	SECTOR = 512,
	LENGTH_BITS = 16,
	FULL = 1,
	FIRST = 2,
	MIDDLE = 3,
	LAST = 4,
	LOG_DATA = 3, /* the tag of log data in a batch */
	CLAIM_MARK = 'c'
};

struct record {
	size_t at;
	uint32_t length; /* as it says; 0 if it has no header */
	uint8_t type;
	bool header, complete; /* the file is long enough for */
};

static uint32_t table[8][256];

static void make_table(void)
{
	for (uint32_t i = 0; i < 256; i++) {
		uint32_t crc = i;
		for (int bit = 0; bit < 8; bit++)
			crc = (crc >> 1) ^ (0x82f63b78u & (0u - (crc & 1)));
		table[0][i] = crc;
	}
	for (uint32_t i = 0; i < 256; i++)
		for (int k = 1; k < 8; k++)
			table[k][i] = (table[k - 1][i] >> 8) ^ table[0][table[k - 1][i] & 0xff];
}

static uint64_t little(const uint8_t *at, size_t bytes)
{
	uint64_t n = 0;

	while (bytes-- > 0)
		n = n << 8 | at[bytes];
	return n;
}

/* Eight bytes at a time: a restart reads the whole journal. */
uint32_t journal_crc(struct span s)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	uint32_t crc = UINT32_MAX;

	pthread_once(&once, make_table);
	for (; s.size >= 8; s = span_skip(s, 8)) {
		const uint64_t x = little(s.at, 8) ^ crc;
		crc = 0;
		for (int k = 0; k < 8; k++)
			crc ^= table[7 - k][(x >> (8 * k)) & 0xff];
	}
	for (; s.size > 0; s = span_skip(s, 1))
		crc = (crc >> 8) ^ table[0][(crc ^ s.at[0]) & 0xff];
	crc = ~crc;
	return ((crc >> 15) | (crc << 17)) + 0xa282ead8u;
}

void journal_claim(uint8_t to[JOURNAL_CLAIM], uint64_t synced)
{
	to[0] = CLAIM_MARK;
	for (int i = 0; i < 8; i++)
		to[1 + i] = (uint8_t)(synced >> (8 * i));
}

static struct record record_at(struct span file, size_t at)
{
	struct record r = {.at = at, .header = file.size - at >= HEADER};

	if (!r.header)
		return r;
	r.length = (uint32_t)little(file.at + at + 4, 2);
	r.type = file.at[at + 6];
	r.complete = file.size - at - HEADER >= r.length;
	return r;
}

static bool fits_block(size_t at, uint32_t length)
{
	return at % BLOCK + HEADER + length <= BLOCK;
}

/* Its bytes are what they were, if that is its length. */
static bool matches(struct span file, size_t at, uint32_t length)
{
	if (!fits_block(at, length) || file.size - at < HEADER + (size_t)length)
		return false;
	return journal_crc(span_of(file.at + at + 6, 1 + (size_t)length)) ==
	       little(file.at + at, 4);
}

static bool is_good(struct span file, const struct record *r)
{
	return r->header && r->type >= FULL && r->type <= LAST && matches(file, r->at, r->length);
}

/* Where the next record may begin: a header never crosses the end of a block. */
static size_t begin_of(size_t at)
{
	return BLOCK - at % BLOCK < HEADER ? at + BLOCK - at % BLOCK : at;
}

static uint64_t claim_of(struct span file, const struct record *r)
{
	const size_t end = r->at + HEADER + r->length, size = 2 + JOURNAL_CLAIM;
	const uint8_t *tail = file.at + end - size;

	if ((r->type != FULL && r->type != LAST) || r->length < size)
		return 0;
	if (tail[0] != LOG_DATA || tail[1] != JOURNAL_CLAIM || tail[2] != CLAIM_MARK)
		return 0;
	return little(tail + 3, 8);
}

/* The largest claim behind `at`, where a record is bad: good ones are looked for at every byte. */
static uint64_t claim_behind(struct span file, size_t at)
{
	uint64_t most = 0;

	for (at = begin_of(at); at < file.size; at = begin_of(at)) {
		const struct record r = record_at(file, at);
		const bool good = is_good(file, &r);
		if (good && claim_of(file, &r) > most)
			most = claim_of(file, &r);
		at += good ? HEADER + r.length : 1;
	}
	return most;
}

/* A whole sector of zeros that the record has a part in, or that follows in its block. */
static bool has_zeros(struct span file, size_t at)
{
	const size_t end = at + BLOCK - at % BLOCK;
	static const uint8_t zeros[SECTOR];

	for (size_t s = at / SECTOR * SECTOR; s < end && s < file.size; s += SECTOR) {
		const size_t from = s < at ? at : s;
		const size_t to = s + SECTOR < file.size ? s + SECTOR : file.size;
		if (to - from >= HEADER && memcmp(file.at + from, zeros, to - from) == 0)
			return true;
	}
	return false;
}

/* The file ends before the record does. With one bit of its length turned it may be whole. */
static bool length_was_flipped(struct span file, const struct record *r)
{
	if (!fits_block(r->at, r->length))
		return true;
	for (int bit = 0; bit < LENGTH_BITS; bit++)
		if (matches(file, r->at, r->length ^ (1u << bit)))
			return true;
	return false;
}

static enum journal_verdict judge(struct span file, const struct record *r, uint64_t batches)
{
	if (!r->header)
		return JOURNAL_WHOLE;
	if (claim_behind(file, r->at) > batches)
		return JOURNAL_DAMAGED;
	if (!r->complete && !length_was_flipped(file, r))
		return JOURNAL_WHOLE;
	return has_zeros(file, r->at) ? JOURNAL_TORN : JOURNAL_DAMAGED;
}

enum journal_verdict journal_check(struct span file, size_t *at)
{
	uint64_t batches = 0; /* whole ones, so far */

	for (*at = 0; *at < file.size; *at = begin_of(*at)) {
		const struct record r = record_at(file, *at);
		if (!is_good(file, &r))
			return judge(file, &r, batches);
		batches += r.type == FULL || r.type == LAST;
		*at += HEADER + r.length;
	}
	return JOURNAL_WHOLE;
}
