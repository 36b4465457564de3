/* inspect.c - see inspect.h. */
#include "mgmt/api/inspect.h"

#include "controlplane/ipc/client.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

static void hang_up(struct inspections *all)
{
	if (all->fd >= 0)
		close(all->fd);
	all->fd = -1;
	all->under_way = -1;
}

static void dial(struct inspections *all)
{
	if (all->path != NULL && all->fd < 0)
		all->fd = ipc_connect(all->path, INSPECT_CONNECT_MS);
}

void inspections_init(struct inspections *all, const char *path)
{
	memset(all, 0, sizeof(*all));
	all->path = path;
	all->fd = all->under_way = -1;
	dial(all);
}

void inspections_fini(struct inspections *all)
{
	hang_up(all);
}

struct inspection *inspections_add(
	struct inspections *all, const struct ipc_inspect *ask, uint64_t now_us)
{
	for (size_t i = 0; i < INSPECTIONS_MAX; i++) {
		struct inspection *one = &all->slots[i];
		if (one->used)
			continue;
		*one = (struct inspection){
			.used = true, .ask = *ask, .since_us = now_us, .next_us = now_us};
		return one;
	}
	return NULL;
}

/* An answer to it that may still come has no slot to go to. */
void inspections_remove(struct inspections *all, struct inspection *one)
{
	if (all->under_way >= 0 && one == &all->slots[all->under_way])
		all->under_way = -1;
	one->used = false;
}

static void send_one(struct inspections *all, size_t at)
{
	const struct ipc_request request = {
		.type = IPC_INSPECT, .token = ++all->token, .inspect = all->slots[at].ask};
	uint8_t message[IPC_MESSAGE_MAX];
	const size_t size = ipc_encode_request(&request, message);

	if (send(all->fd, message, size, MSG_NOSIGNAL | MSG_DONTWAIT) != (ssize_t)size) {
		hang_up(all);
		return;
	}
	all->under_way = (int)at;
}

static void take(struct inspection *one, const struct ipc_reply *reply, uint64_t now_us)
{
	/* WAIT, or REFUSED since somebody else asks just now. */
	one->next_us = now_us + INSPECT_AGAIN_US;
	if (reply->type != IPC_INSPECTED || reply->inspected.kind != one->ask.ask.kind)
		return;
	one->head = reply->inspected;
	memcpy(one->records, reply->records,
		reply->inspected.count * shm_record_bytes(reply->inspected.kind));
	one->result = INSPECT_DONE;
}

void inspections_read(struct inspections *all, uint64_t now_us)
{
	static struct ipc_reply reply; /* too large for a stack */
	uint8_t message[IPC_MESSAGE_MAX];

	if (all->fd < 0)
		return;
	const ssize_t got = recv(all->fd, message, sizeof(message), MSG_DONTWAIT);
	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (got <= 0 || ipc_decode_reply(span_of(message, (size_t)got), &reply) != ERR_NONE) {
		hang_up(all);
		return;
	}
	if (all->under_way < 0 || reply.token != all->token)
		return; /* an answer to what was given up */
	struct inspection *one = &all->slots[all->under_way];
	all->under_way = -1;
	take(one, &reply, now_us);
}

static bool is_pending(const struct inspection *one)
{
	return one->used && one->result == INSPECT_PENDING;
}

/* The one that has been due for longest; -1: none is. */
static int find_due(const struct inspections *all, uint64_t now_us)
{
	int found = -1;

	for (int i = 0; i < INSPECTIONS_MAX; i++) {
		const struct inspection *one = &all->slots[i];
		if (is_pending(one) && one->next_us <= now_us &&
			(found < 0 || one->next_us < all->slots[found].next_us))
			found = i;
	}
	return found;
}

void inspections_turn(struct inspections *all, uint64_t now_us)
{
	for (size_t i = 0; i < INSPECTIONS_MAX; i++) {
		struct inspection *one = &all->slots[i];
		if (!is_pending(one) || now_us - one->since_us < INSPECT_GIVE_UP_US)
			continue;
		one->result = INSPECT_GIVEN_UP;
		if (all->under_way == (int)i)
			hang_up(all); /* it has not said a word: another try begins afresh */
	}
	const int due = all->under_way >= 0 ? -1 : find_due(all, now_us);
	if (due < 0)
		return;
	all->slots[due].next_us = now_us + INSPECT_AGAIN_US;
	dial(all);
	if (all->fd >= 0)
		send_one(all, (size_t)due);
}

void inspections_give_up(struct inspections *all)
{
	for (size_t i = 0; i < INSPECTIONS_MAX; i++)
		if (is_pending(&all->slots[i]))
			all->slots[i].result = INSPECT_GIVEN_UP;
}

uint64_t inspections_next_us(const struct inspections *all)
{
	uint64_t next_us = UINT64_MAX;

	for (size_t i = 0; i < INSPECTIONS_MAX; i++) {
		const struct inspection *one = &all->slots[i];
		if (!is_pending(one))
			continue;
		const uint64_t us =
			all->under_way >= 0 ? one->since_us + INSPECT_GIVE_UP_US : one->next_us;
		next_us = us < next_us ? us : next_us;
	}
	return next_us;
}
