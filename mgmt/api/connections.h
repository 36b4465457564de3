/* connections.h - connections of the box: what REST may ask about them, and the documents.
 *
 * Pure. An id is WORKER-PLACE-GENERATION, a cursor WORKER-PLACE: both are the client's words and
 * checked. Records are what a worker has written: names come from tables, texts are made to be
 * UTF-8. Shapes: docs/reference/rest.md. */
#pragma once
#include "controlplane/ipc/ipc.h"

#include <jansson.h>

enum {
	CONNECTIONS_EVENTS = 500, /* of one, at most */
	CONNECTIONS_LIMIT = 50,
}; /* of a page, if nothing else is asked */

/* A page that is asked for. */
struct connections_page {
	struct ipc_inspect ask;
	bool one_worker; /* the others are not asked when this one has no more */
};

void connections_page_init(struct connections_page *p);
/* One parameter of the query. False: it is unknown, or cannot be what it is. */
MUST_USE bool connections_page_read(
	struct connections_page *p, const char *name, const char *value);
/* The whole id, and nothing behind it. As a question about the connection itself. */
MUST_USE bool connections_id_read(const char *text, size_t size, struct ipc_inspect *out);

json_t *connections_report(const struct connections_page *p, uint32_t workers,
	const struct shm_answer_head *head, const uint8_t *records);
json_t *connections_report_one(uint32_t worker, const uint8_t *record);
/* The oldest first. */
json_t *connections_report_events(const struct shm_answer_head *head, const uint8_t *records);
