/* ipc_fuzz.c - any packet as a request to a control plane, and as a reply to its client. */
#include "controlplane/ipc/answer.h"
#include "dataplane/base/assert.h"
#include "storage/memory/memory.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct controlplane *control(void)
{
	static struct controlplane *cp;
	static void *regions[SHM_REGIONS];
	static const struct shm_config config = {
		.connections_max = 4, .sessions_max = 4, .durability = "synced"};

	if (cp != NULL)
		return cp;
	for (unsigned k = SHM_DP; k <= SHM_CP_COUNTERS; k++) {
		const size_t bytes = shm_region_bytes((enum shm_region)k, 1);
		regions[k] = aligned_alloc(SHM_PAGE, bytes);
		ASSERT(regions[k] != NULL);
		memset(regions[k], 0, bytes);
		shm_region_init(regions[k], (enum shm_region)k, 1);
	}
	struct memory_disk *disk = memory_disk_create(&(struct memory_disk_conf){.sync_us = 0});
	ASSERT(disk != NULL);
	const struct controlplane_conf conf = {.cp = regions[SHM_CP],
		.cp_counters = regions[SHM_CP_COUNTERS],
		.dp = regions[SHM_DP],
		.workers = 1,
		.config = &config,
		.store = storage_memory_open(disk, 0)};
	const enum err e = controlplane_create(&conf, (struct sessions_now){0, 0}, &cp);
	ASSERT(e == ERR_NONE);
	return cp;
}

/* What is accepted as a request means the same when it is said again. */
static void say_again(struct span request)
{
	static struct ipc_request first, again;
	static uint8_t out[IPC_MESSAGE_MAX];

	if (ipc_decode_request(request, &first) != ERR_NONE)
		return;
	const size_t said = ipc_encode_request(&first, out);
	ASSERT(said <= sizeof(out));
	const enum err e = ipc_decode_request(span_of(out, said), &again);
	ASSERT(e == ERR_NONE);
	ASSERT(again.type == first.type && again.token == first.token);
	if (first.type == IPC_SET_IMPAIR)
		ASSERT(strncmp(again.text, first.text, sizeof(again.text)) == 0);
	if (first.type == IPC_LIST_SESSIONS)
		ASSERT(memcmp(&again.list, &first.list, sizeof(again.list)) == 0);
	if (first.type == IPC_INSPECT)
		ASSERT(memcmp(&again.inspect, &first.inspect, sizeof(again.inspect)) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct ipc_reply reply, again;
	static uint8_t out[IPC_MESSAGE_MAX];
	const size_t said = ipc_answer(control(), 5, (struct span){data, size}, out);
	const enum err e = ipc_decode_reply(span_of(out, said), &reply);

	ASSERT(e == ERR_NONE);
	say_again((struct span){data, size});
	/* As a reply: what is accepted is encoded to the same again, but for unterminated names. */
	if (ipc_decode_reply((struct span){data, size}, &reply) != ERR_NONE)
		return 0;
	const size_t encoded = ipc_encode_reply(&reply, out);
	ASSERT(encoded == size);
	const enum err second = ipc_decode_reply(span_of(out, encoded), &again);
	ASSERT(second == ERR_NONE);
	ASSERT(reply.type == IPC_FACTS || memcmp(out, data, size) == 0);
	return 0;
}
