/* link.c - the worker's end of the link to the control plane.
 *
 * Requests and farewells go out as commands, grants and revocations come in as
 * events. A request is kept until it is answered, so that a control plane that
 * died can be asked again; a farewell that finds the ring full waits in a list.
 * When the control plane's generation changes it has forgotten everything: it
 * is told of every live session and asked every open question once more. */
#include "dataplane/base/assert.h"
#include "dataplane/shm/doorbell.h"
#include "dataplane/worker/worker_internal.h"

#include <stdlib.h>

static_assert((int)SESSION_GRANTED == (int)SHM_GRANTED &&
		      (int)SESSION_REFUSED_BUSY == (int)SHM_REFUSED_BUSY,
	"verdicts have the same numbers on both sides");

enum { REQUEST_ROOM = 64 /* slots that only farewells may use */ };

static bool linked(const struct worker *w)
{
	return w->link.peer != NULL;
}

static bool push(struct worker *w, enum shm_command type, const void *body, size_t size)
{
	if (!shm_tx_push(&w->link.commands, (uint8_t)type, body, size))
		return false;
	counter_add(w->counters, COUNTER_RING_TX, 1);
	w->link.rang = true;
	return true;
}

bool link_create(struct worker *w)
{
	const struct box_link *conf = &w->conf.link;
	struct worker_link *l = &w->link;

	l->farewells = calloc(w->conf.config.connections_max, sizeof(*l->farewells));
	if (l->farewells == NULL)
		return false;
	if (conf->dp_region == NULL)
		return true;
	struct shm_dp_worker *ours = shm_dp_worker(conf->dp_region, w->conf.worker);
	const struct shm_cp_worker *theirs = shm_cp_worker_const(conf->cp_region, w->conf.worker);
	l->peer = (const struct shm_header *)conf->cp_region;
	l->generation = ((const struct shm_header *)conf->dp_region)->generation;
	l->peer_generation = shm_load(&l->peer->generation);
	shm_tx_init(&l->commands, ours->commands, &ours->command_producer,
		&theirs->command_consumer, (uint32_t)l->generation);
	l->commands.receiver = (uint32_t)l->peer_generation;
	shm_rx_init(&l->events, theirs->events, &theirs->event_producer, &ours->event_consumer);
	shm_arena_init(&l->arena, ours->arena, l->commands.next);
	l->resync_at = w->conf.config.connections_max;      /* nobody to introduce yet */
	return push(w, SHM_COMMAND_HELLO, NULL, 0) || true; /* a full ring: resync says it later */
}

void link_fini(struct worker *w)
{
	free(w->link.farewells);
	w->link.farewells = NULL;
}

static void settle_pending(struct worker *w, struct connection *c)
{
	rte_pktmbuf_free(c->request);
	c->request = NULL;
	ASSERT(w->link.pending > 0);
	w->link.pending--;
}

void link_forget_request(struct worker *w, struct connection *c)
{
	if (c->grant == GRANT_ASKED)
		settle_pending(w, c);
}

/* Keeps the text of a request in buffers of our own until it is answered. */
static bool keep_text(struct worker *w, struct connection *c, const struct span *parts, size_t n)
{
	struct rte_mbuf *last = NULL;

	for (size_t i = 0; i < n; i++) {
		struct span s = parts[i];
		while (s.size > 0) {
			if (last == NULL || rte_pktmbuf_tailroom(last) == 0) {
				struct rte_mbuf *m = rte_pktmbuf_alloc(w->conf.pools.copies);
				if (m == NULL)
					return false;
				if (last == NULL)
					c->request = m;
				else
					last->next = m;
				c->request->nb_segs += last != NULL;
				last = m;
			}
			const uint16_t room = rte_pktmbuf_tailroom(last);
			const uint16_t take = s.size < room ? (uint16_t)s.size : room;
			memcpy(rte_pktmbuf_mtod_offset(last, void *, last->data_len), s.at, take);
			last->data_len += take;
			c->request->pkt_len += take;
			s = span_skip(s, take);
		}
	}
	return true;
}

/* Writes the kept request into the ring. False: no room now. */
static bool ask(struct worker *w, struct connection *c)
{
	struct worker_link *l = &w->link;
	struct shm_connect body = c->asked;
	struct span parts[RTE_MBUF_MAX_NB_SEGS > 128 ? 128 : RTE_MBUF_MAX_NB_SEGS];
	size_t n = 0;

	if (shm_tx_room(&l->commands) <= REQUEST_ROOM)
		return false;
	for (const struct rte_mbuf *m = c->request; m != NULL && n < ARRAY_SIZE(parts); m = m->next)
		parts[n++] = span_of(rte_pktmbuf_mtod(m, const void *), m->data_len);
	if (!shm_arena_put(&l->arena, &l->commands, parts, n, &body.text))
		return false;
	return push(w, SHM_COMMAND_CONNECT, &body, sizeof(body));
}

static bool remember_client_id(struct worker *w, struct connection *c, struct span id)
{
	c->client_id_size = 0;
	if (id.size > WORKER_CLIENT_ID_MAX)
		return true; /* the control plane refuses it */
	if (id.size <= WORKER_CLIENT_ID_INLINE) {
		if (id.size > 0)
			memcpy(c->client_id, id.at, id.size);
		c->client_id_size = (uint8_t)id.size;
		return true;
	}
	c->client_id_long = pool_get(&w->names);
	if (c->client_id_long == POOL_NONE)
		return false;
	memcpy(pool_at(&w->names, c->client_id_long), id.at, id.size);
	c->client_id_size = (uint8_t)(id.size - 1); /* 1 to 256 in a byte */
	return true;
}

static struct shm_connect describe(const struct connection *c, const struct session_request *r)
{
	return (struct shm_connect){
		.connection = {c->id.index, c->id.generation},
		.client_id_size = (uint16_t)r->client_id.size,
		.username_size = (uint16_t)r->username.size,
		.password_size = (uint16_t)r->password.size,
		.flags = (uint8_t)((r->clean_start ? SHM_CONNECT_CLEAN : 0) |
				   (r->has_username ? SHM_CONNECT_USERNAME : 0) |
				   (r->has_password ? SHM_CONNECT_PASSWORD : 0)),
		.protocol = r->protocol,
		.session_expiry_s = r->session_expiry_s,
		.address = c->peer_address,
		.port = c->peer_port,
		.keepalive_s = r->keepalive_s,
		.version = r->version,
	};
}

bool link_request(struct worker *w, struct connection *c, const struct session_request *r)
{
	const struct span parts[] = {r->client_id, r->username, r->password};

	ASSERT(c->grant == GRANT_NONE);
	if (!linked(w) || !remember_client_id(w, c, r->client_id))
		return false;
	c->asked = describe(c, r);
	if (!keep_text(w, c, parts, ARRAY_SIZE(parts)) || !ask(w, c)) {
		rte_pktmbuf_free(c->request);
		c->request = NULL;
		return false;
	}
	c->grant = GRANT_ASKED;
	w->link.pending++;
	return true;
}

void link_closed(struct worker *w, struct connection *c, enum err why)
{
	struct worker_link *l = &w->link;
	const struct shm_closed body = {
		.connection = {c->id.index, c->id.generation}, .epoch = c->epoch, .err = why};

	if (c->grant == GRANT_NONE)
		return;
	link_forget_request(w, c);
	c->grant = GRANT_NONE;
	if (l->farewell_count == 0 && push(w, SHM_COMMAND_CLOSED, &body, sizeof(body)))
		return;
	/* At most one for each connection that the control plane has not yet heard of... */
	if (l->farewell_count < w->conf.config.connections_max)
		l->farewells[l->farewell_count++] = (struct farewell){body};
	else /* ...beyond which it is told everything anew */
		l->resyncing = true;
}

static struct connection *find(struct worker *w, struct shm_connection id)
{
	if (id.index >= w->conf.config.connections_max)
		return NULL;
	struct connection *c = &w->connections[id.index];
	return c->session_open && c->id.generation == id.generation ? c : NULL;
}

/* A new control plane judged a session that was live before it: a new epoch, or no place. */
static void on_regrant(struct worker *w, struct connection *c, const struct shm_grant *g)
{
	const struct session_grant grant = {.verdict = (enum session_verdict)g->verdict,
		.session_present = g->session_present != 0,
		.epoch = g->epoch};

	if (c->finishing || g->verdict > SESSION_REFUSED_BUSY)
		return;
	c->epoch = g->epoch;
	mqtt_session_on_grant(&c->session, &grant, w->now_us);
}

static void on_grant(struct worker *w, const struct shm_grant *g)
{
	struct connection *c = find(w, g->connection);

	if (c == NULL || c->grant == GRANT_NONE)
		return; /* gone meanwhile: its CLOSED is under way */
	if (c->grant == GRANT_LIVE) {
		on_regrant(w, c, g);
		return;
	}
	if (g->assigned_size > sizeof(g->assigned) || g->verdict > SESSION_REFUSED_BUSY) {
		counter_err(w->counters, ERR_SLOT_BAD);
		return;
	}
	settle_pending(w, c);
	c->grant = g->verdict == SESSION_GRANTED ? GRANT_LIVE : GRANT_NONE;
	c->epoch = g->epoch;
	const struct session_grant grant = {.verdict = (enum session_verdict)g->verdict,
		.session_present = g->session_present != 0,
		.assigned_client_id = span_of(g->assigned, g->assigned_size),
		.epoch = g->epoch};
	if (g->assigned_size > 0 && !remember_client_id(w, c, grant.assigned_client_id))
		return;
	mqtt_session_on_grant(&c->session, &grant, w->now_us);
	connection_input(w, c); /* what the client sent meanwhile */
}

static void on_revoke(struct worker *w, const struct shm_revoke *r)
{
	struct connection *c = find(w, r->connection);

	if (c == NULL || c->grant != GRANT_LIVE || c->epoch != r->epoch || c->finishing)
		return;
	const enum err why = r->err == ERR_SHUTDOWN ? ERR_SHUTDOWN : ERR_MQTT_TAKEN_OVER;
	mqtt_session_on_revoke(&c->session, why, w->now_us);
}

static void on_event(struct worker *w, const struct shm_slot *slot)
{
	if (slot->receiver != (uint32_t)w->link.generation ||
		slot->sender != (uint32_t)w->link.peer_generation)
		return; /* from a control plane, or to a dataplane, that is no more */
	switch (slot->type) {
	case SHM_EVENT_GRANT:
		on_grant(w, &slot->grant);
		break;
	case SHM_EVENT_REVOKE:
		on_revoke(w, &slot->revoke);
		break;
	default:
		counter_err(w->counters, ERR_SLOT_BAD);
	}
}

/* Tells a new control plane who is here. True: it knows of this connection. */
static bool reintroduce(struct worker *w, struct connection *c)
{
	struct worker_link *l = &w->link;

	if (!c->session_open || c->grant == GRANT_NONE)
		return true;
	c->asked.flags |= SHM_CONNECT_AGAIN;
	if (c->grant == GRANT_ASKED)
		return ask(w, c);
	if (shm_tx_room(&l->commands) <= REQUEST_ROOM)
		return false;
	struct shm_connect body = c->asked;
	const struct span id = connection_client_id(w, c);
	body.flags |= SHM_CONNECT_LIVE;
	body.epoch = c->epoch;
	body.client_id_size = (uint16_t)id.size;
	body.username_size = body.password_size = 0;
	return shm_arena_put(&l->arena, &l->commands, &id, 1, &body.text) &&
	       push(w, SHM_COMMAND_CONNECT, &body, sizeof(body));
}

static void resync(struct worker *w)
{
	struct worker_link *l = &w->link;
	const uint64_t generation = shm_load(&l->peer->generation);

	if (generation != l->peer_generation || l->resyncing) {
		l->peer_generation = generation;
		l->commands.receiver = (uint32_t)generation;
		l->farewell_count = 0; /* it never knew them */
		l->resync_at = 0;
		l->resyncing = false;
		if (!push(w, SHM_COMMAND_HELLO, NULL, 0)) {
			l->resyncing = true;
			return;
		}
	}
	while (l->resync_at < w->conf.config.connections_max &&
		reintroduce(w, &w->connections[l->resync_at]))
		l->resync_at++;
}

bool link_poll(struct worker *w)
{
	struct worker_link *l = &w->link;
	bool any = false;

	if (!linked(w))
		return false;
	resync(w);
	for (uint32_t n = 0; n < WORKER_LINK_SLOTS; n++) {
		struct shm_slot slot;
		const enum shm_pop popped = shm_rx_pop(&l->events, &slot);
		if (popped == SHM_EMPTY)
			break;
		if (popped == SHM_CORRUPT) {
			counter_err(w->counters, ERR_RING_CORRUPT);
			break;
		}
		counter_add(w->counters, COUNTER_RING_RX, 1);
		on_event(w, &slot);
		shm_rx_done(&l->events);
		any = true;
	}
	return any;
}

void link_flush(struct worker *w)
{
	struct worker_link *l = &w->link;

	if (!linked(w))
		return;
	uint32_t sent = 0;
	while (sent < l->farewell_count && push(w, SHM_COMMAND_CLOSED, &l->farewells[sent].body,
						   sizeof(l->farewells[sent].body)))
		sent++;
	if (sent > 0) {
		l->farewell_count -= sent;
		memmove(l->farewells, l->farewells + sent,
			l->farewell_count * sizeof(*l->farewells));
	}
	if (l->rang)
		shm_doorbell_ring(l->peer, w->conf.link.doorbell);
	l->rang = false;
}
