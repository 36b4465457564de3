/* parts.h - the text of one STORE, put together from the PARTs before it.
 *
 * Of one worker. The sum is bounded by whoever asks; memory is taken as text
 * comes, not as it is announced, and given back when a long text is done with.
 * What is too long or finds no memory spoils the STORE that it belongs to and
 * nothing else. */
#pragma once
#include "dataplane/base/attr.h"
#include "dataplane/base/err.h"
#include "dataplane/base/span.h"

enum { PARTS_KEPT_BYTES = 256 << 10 }; /* memory that stays for the next one */

struct parts {
	uint8_t *bytes; /* owned */
	size_t size, room;
	bool spoilt;
};

void parts_add(struct parts *p, struct span text, size_t size_max);
/* All parts and the last text, which must be `size` bytes together. *whole is valid until the next
 * call. May be asked again: nothing is used up. ERR_SLOT_BAD. */
MUST_USE enum err parts_join(
	struct parts *p, struct span last, size_t size, size_t size_max, struct span *whole);
/* The next part begins another text. */
void parts_drop(struct parts *p);
void parts_fini(struct parts *p);
