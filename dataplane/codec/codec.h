/* codec.h - what every wire format here has in common.
 *
 * A codec is pure: bytes in, views out. It does no I/O, allocates nothing,
 * keeps no state between calls, knows no clock and logs nothing. Feed it the
 * unread bytes of a stream, oldest first:
 *
 *	DONE  a frame is whole; `used` bytes belong to it
 *	MORE  call again when `need` bytes are there (need > what was given)
 *	BAD   never a frame; `err` says why
 *
 * A claimed length is judged against its limit before it is waited for. The
 * same bytes always get the same answer. Views point into the input and die
 * with it. A frame with a large payload yields its header first, then the
 * payload in chunks, so that no payload has to be contiguous. */
#pragma once
#include "dataplane/base/attr.h"
#include "dataplane/base/err.h"
#include "dataplane/base/span.h"

enum decode_verdict { DECODE_DONE, DECODE_MORE, DECODE_BAD };

struct decoded {
	enum decode_verdict verdict;
	enum err err; /* BAD only */
	size_t used;  /* DONE only: bytes of the frame */
	size_t need;  /* MORE only: bytes wanted in all, counted from the frame's start */
};

static inline struct decoded decode_done(size_t used)
{
	return (struct decoded){.verdict = DECODE_DONE, .used = used};
}

static inline struct decoded decode_more(size_t need)
{
	return (struct decoded){.verdict = DECODE_MORE, .need = need};
}

static inline struct decoded decode_bad(enum err e)
{
	return (struct decoded){.verdict = DECODE_BAD, .err = e};
}
