/* tcp_table.h - the flow table: four-tuple to 32-bit index.
 *
 * Open addressing with linear probing, at most half full, in the caller's
 * memory. The hash is SipHash with a secret key, so peers cannot choose their
 * slots. An entry keeps 32 bits of it; equality is the owner's to judge, since
 * the tuples lie in its records. Removal closes the gap: no tombstones. */
#pragma once
#include "dataplane/base/hash.h"

#include <rte_byteorder.h>

/* A connection as seen from here. No padding: it is hashed as bytes. */
struct tcp_tuple {
	rte_be32_t peer, local;
	uint16_t peer_port, local_port; /* host order */
};

struct tcp_table_entry {
	uint32_t hash;
	uint32_t index; /* TABLE_EMPTY: free */
};

/* Does the record at index have this tuple? */
typedef bool tcp_table_same(const void *owner, uint32_t index, const struct tcp_tuple *tuple);

struct tcp_table {
	struct tcp_table_entry *entries;
	uint32_t mask; /* a power of two, less one */
	uint32_t used, limit;
	struct hash_key key;
	tcp_table_same *same;
	const void *owner;
};

enum { TABLE_EMPTY = UINT32_MAX };

size_t tcp_table_bytes(uint32_t count);
/* `memory` has tcp_table_bytes(count); the caller fills in key, same and owner beforehand. */
void tcp_table_init(struct tcp_table *t, void *memory, uint32_t count);
uint32_t tcp_table_hash(const struct tcp_table *t, const struct tcp_tuple *tuple);
uint32_t tcp_table_find(const struct tcp_table *t, const struct tcp_tuple *tuple);
void tcp_table_insert(struct tcp_table *t, const struct tcp_tuple *tuple, uint32_t index);
void tcp_table_remove(struct tcp_table *t, const struct tcp_tuple *tuple, uint32_t index);
