/* deliver.h - slot bodies about messages that the control plane sends: of queues, wills, retained.
 *
 * Their text is a parcel (parcel.h). Where a durable session is connected: PLACE.
 * Which body belongs to which type: slots.h. */
#pragma once
#include "dataplane/shm/connect.h"

struct shm_place {
	uint64_t session;
	struct shm_connection connection;
	uint32_t worker; /* UINT32_MAX: nowhere */
	uint32_t reserved;
};

enum shm_deliver_flags {
	SHM_DELIVER_DUP = 1,
	SHM_DELIVER_RETAIN = 2,
	SHM_DELIVER_RELEASE = 4, /* no message: the client has said PUBREC, say PUBREL */
};

struct shm_deliver {
	struct shm_connection connection;
	uint64_t entry;
	struct shm_text text;   /* identifiers, u32 each, network order; a parcel. RELEASE: none */
	uint32_t text_size;     /* of all parts and this text */
	uint32_t expiry_left_s; /* 0: does not expire */
	uint8_t qos, flags;     /* enum shm_deliver_flags */
	uint8_t identifier_count;
	uint8_t reserved[5];
};

struct shm_declined {
	uint64_t entry;   /* DELIVER */
	uint64_t session; /* PUBLISH: of the will; else 0 */
	struct shm_connection connection;
};

struct shm_publish {
	uint64_t session; /* id of the will: goes into the STORE, or DECLINED */
	struct shm_text text;
	uint32_t text_size;
	uint8_t qos, retain;
	uint8_t reserved[2];
};

struct shm_retained {
	struct shm_text text;
	uint32_t text_size;
	uint32_t expiry_left_s;
	uint8_t qos;
	uint8_t reserved[7];
};

static_assert(sizeof(struct shm_deliver) == 40, "no holes");
