/* connection.h - one client's place in a worker: its TCP connection, its session, its grant.
 *
 * Lives at the index that TCP gave the connection. Begins with TCP's ACCEPTED, ends with its
 * CLOSED; the session in it may end earlier. Not here: the worker itself (worker_internal.h). */
#pragma once
#include "dataplane/session/mqtt.h"
#include "dataplane/shm/slots.h"
#include "dataplane/tcp/tcp.h"

struct worker;

enum { WORKER_CLIENT_ID_INLINE = 24 };

/* Where a connection stands with the control plane. */
enum grant_state { GRANT_NONE, GRANT_ASKED, GRANT_LIVE };

struct connection {
	struct worker *worker; /* set once; a session's `owner` is its connection */
	struct tcp_id id;
	rte_be32_t peer_address;
	uint16_t peer_port;
	uint8_t grant; /* enum grant_state */
	bool open;     /* TCP has it */
	bool session_open;
	bool finishing; /* the session asked to end; carried out by settle */
	bool closing;   /* FIN is queued: input is read and dropped */
	bool queued;    /* in the `again` list */
	bool clean_start;
	uint8_t client_id_size;
	uint8_t version;
	uint16_t keepalive_s;
	uint32_t session_expiry_s;
	uint32_t client_id_long; /* pool index, when it does not fit inline */
	uint64_t epoch;
	/* What the control plane keeps of it (works.h). */
	uint64_t kept;         /* session id; 0: nothing */
	uint64_t delivered;    /* the highest entry of its queue that came here */
	uint64_t declined_now; /* in this round of offers, the last that found no room; 0: none */
	uint64_t declined_top; /* the highest that found none and has not come since; 0: none */
	uint64_t subscribing;  /* its oldest SUBSCRIBE without an answer; 0: none */
	uint32_t owed;         /* entries that it has yet to settle */
	uint32_t farewell_expiry_s;
	bool durable;             /* its subscriptions are a queue's */
	bool farewell_void;       /* it took its leave: no will */
	bool farewell_expiry;     /* ...with another expiry */
	struct rte_mbuf *request; /* text of an unanswered request, for sending it again */
	struct shm_connect asked; /* the request itself */
	uint8_t client_id[WORKER_CLIENT_ID_INLINE];
	struct mqtt_session session;
};

void connection_on_event(struct worker *w, const struct tcp_event *e);
void connection_input(struct worker *w, struct connection *c);
void connection_on_timer(void *owner, uint32_t index, uint64_t now_us);
void connection_end_session(struct worker *w, struct connection *c);
struct span connection_client_id(const struct worker *w, const struct connection *c);

/* Sessions that asked to end are ended; connections with input left are read on. */
void worker_settle(struct worker *w);
void worker_run_again(struct worker *w);
