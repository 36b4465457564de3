/* works_text.h - texts of work: kept in a ring of bytes, or made from a message as they are said.
 *
 * Work is answered in order, so its texts come and go like a queue. Not here:
 * whose they are (works_internal.h). */
#pragma once
#include "dataplane/fabric/message.h"
#include "dataplane/shm/parcel.h"

struct works;

/* Bytes of a work's text in the ring of texts. */
struct work_text {
	uint8_t *at;
	uint32_t size;
	uint32_t cost; /* with what was lost at the end of the ring */
};

bool works_text_fits(const struct works *s, size_t size);
struct work_text works_text_keep(struct works *s, struct span text);
void works_text_free(struct works *s, const struct work_text *t);
struct parcel works_parcel(const struct message *m); /* but for the payload */
uint32_t works_parcel_size(const struct message *m); /* bytes, with the payload */
