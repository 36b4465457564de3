/* cells.h - byte strings of any length in equal cells: no gaps, no moving, all memory at start.
 *
 * A string is a chain of cells, 60 bytes in each. Whoever keeps it knows its
 * size. Taking and giving back cost one step for each cell. One thread. */
#pragma once
#include "dataplane/base/attr.h"
#include "dataplane/base/span.h"

enum { CELL_BYTES = 60, CELLS_NONE = UINT32_MAX };

struct cell {
	uint32_t next;
	uint8_t bytes[CELL_BYTES];
};

struct cells {
	struct cell *at;
	uint32_t count;
	uint32_t free; /* head of the chain of free ones */
	uint32_t free_count;
};

/* A place in a chain, for reading or writing on. */
struct cells_place {
	uint32_t cell;
	uint32_t offset;
};

static inline uint64_t cells_for(uint64_t bytes)
{
	return (bytes + CELL_BYTES - 1) / CELL_BYTES;
}

void cells_init(struct cells *c, void *memory, uint32_t count);
/* A chain of so many, CELLS_NONE if that is 0; there must be as many free ones. */
uint32_t cells_take(struct cells *c, uint32_t count);
void cells_put(struct cells *c, uint32_t first); /* the whole chain */
/* Both stay inside the chain, and move the place. */
void cells_write(struct cells *c, struct cells_place *p, struct span bytes);
void cells_read(const struct cells *c, struct cells_place *p, void *to, size_t size);
