/* link.c - the worker's end of the link to the control plane.
 *
 * Requests and farewells go out as commands, grants and revocations come in as
 * events. A request is kept until it is answered, so that a control plane that
 * died can be asked again; a farewell that finds the ring full waits in a list.
 * When the control plane's generation changes it has forgotten everything: it
 * is told of every live session and asked every open question once more. */
#include "dataplane/base/assert.h"
#include "dataplane/shm/doorbell.h"
#include "dataplane/worker/attempts.h"
#include "dataplane/worker/tiers.h"
#include "dataplane/worker/worker_internal.h"
#include "dataplane/worker/works_internal.h"

#include <stdlib.h>

static_assert((int)SESSION_GRANTED == (int)SHM_GRANTED &&
		      (int)SESSION_REFUSED_BUSY == (int)SHM_REFUSED_BUSY,
	"verdicts have the same numbers on both sides");

enum {
	REQUEST_ROOM = 64,      /* slots that only farewells may use */
	REQUEST_PARTS_MAX = 64, /* of a request's text: what a CONNECT holds at the most */
};

static bool linked(const struct worker *w)
{
	return w->link.peer != NULL;
}

bool link_push(struct worker *w, enum shm_command type, const void *body, size_t size)
{
	if (!shm_tx_push(&w->link.commands, (uint8_t)type, body, size))
		return false;
	counter_add(w->counters, COUNTER_RING_TX, 1);
	w->link.rang = true;
	return true;
}

bool link_put(struct worker *w, const struct span *parts, size_t count, struct shm_text *out)
{
	return shm_arena_put(&w->link.arena, &w->link.commands, parts, count, out);
}

bool link_has_spare_room(const struct worker *w)
{
	const struct worker_link *l = &w->link;

	return linked(w) && !l->resyncing && !l->introducing &&
	       shm_tx_room(&l->commands) > REQUEST_ROOM;
}

/* The first word of a generation, to one of theirs. False: no room now. */
static bool greet(struct worker *w)
{
	const struct shm_hello body = {.loaded = works_loaded(w)};

	return link_push(w, SHM_COMMAND_HELLO, &body, sizeof(body));
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
	l->resyncing = true; /* the first turn greets it */
	return true;
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
	if (!link_put(w, parts, n, &body.text))
		return false;
	return link_push(w, SHM_COMMAND_CONNECT, &body, sizeof(body));
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

/* For who has no client id. Nobody who does not know our key can tell the next one. */
static uint64_t name_for(const struct worker *w, const struct connection *c)
{
	const struct hash_key key = {~w->conf.key.k0, w->conf.key.k1};
	const uint64_t words[2] = {(uint64_t)c->id.index << 32 | c->id.generation, w->conf.worker};

	return siphash(key, span_of(words, sizeof(words))) | 1;
}

static struct shm_connect describe(
	const struct worker *w, const struct connection *c, const struct session_request *r)
{
	return (struct shm_connect){
		.connection = {c->id.index, c->id.generation},
		.client_id_size = (uint16_t)r->client_id.size,
		.username_size = (uint16_t)r->username.size,
		.password_size = (uint16_t)r->password.size,
		.flags = (uint8_t)((r->clean_start ? SHM_CONNECT_CLEAN : 0) |
				   (r->has_username ? SHM_CONNECT_USERNAME : 0) |
				   (r->has_password ? SHM_CONNECT_PASSWORD : 0) |
				   (r->will != NULL ? SHM_CONNECT_WILL : 0)),
		.protocol = r->protocol,
		.session_expiry_s = r->session_expiry_s,
		.address = c->peer_address,
		.port = c->peer_port,
		.keepalive_s = r->keepalive_s,
		.version = r->version,
		.receive_max = r->receive_max,
		.epoch = r->client_id.size == 0 ? name_for(w, c) : 0,
	};
}

/* Joins the request's texts. Returns how many there are. */
static size_t request_parts(
	const struct session_request *r, struct writer *head, struct span parts[REQUEST_PARTS_MAX])
{
	size_t n = 0;

	parts[n++] = r->client_id;
	parts[n++] = r->username;
	parts[n++] = r->password;
	if (r->will == NULL)
		return n;
	const struct message *m = r->will;
	const struct parcel parcel = works_parcel(m);
	write_u32(head, r->will_delay_s);
	parcel_encode_fixed(head, &parcel);
	parts[n++] = writer_span(head);
	parts[n++] = m->topic;
	parts[n++] = m->props.content_type;
	parts[n++] = m->props.reply_to;
	parts[n++] = m->props.correlation;
	parts[n++] = m->props.user;
	for (const struct rte_mbuf *s = m->payload; s != NULL; s = s->next) {
		if (n == REQUEST_PARTS_MAX)
			return 0;
		parts[n++] = span_of(rte_pktmbuf_mtod(s, const void *), s->data_len);
	}
	return n;
}

bool link_request(struct worker *w, struct connection *c, const struct session_request *r)
{
	struct span parts[REQUEST_PARTS_MAX];
	uint8_t fixed[4 + PARCEL_FIXED];
	struct writer head = writer_of(fixed, sizeof(fixed));

	ASSERT(c->grant == GRANT_NONE);
	if (!linked(w) || !remember_client_id(w, c, r->client_id))
		return false;
	c->asked = describe(w, c, r);
	const size_t n = request_parts(r, &head, parts);
	if (n == 0 || !keep_text(w, c, parts, n) || !ask(w, c)) {
		rte_pktmbuf_free(c->request);
		c->request = NULL;
		return false;
	}
	c->grant = GRANT_ASKED;
	w->link.pending++;
	return true;
}

/* It is time to say it: its ENDED is said. */
static bool farewell_due(const struct worker *w, const struct farewell *f)
{
	return f->after == 0 || works_said(w, f->after);
}

static bool say_farewell(struct worker *w, const struct farewell *f)
{
	return farewell_due(w, f) && link_push(w, SHM_COMMAND_CLOSED, &f->body, sizeof(f->body));
}

void link_closed(struct worker *w, struct connection *c, enum err why)
{
	struct worker_link *l = &w->link;
	struct farewell f = {.body = {.connection = {c->id.index, c->id.generation},
				     .epoch = c->epoch,
				     .err = why}};

	if (c->grant == GRANT_NONE)
		return;
	link_forget_request(w, c);
	c->grant = GRANT_NONE;
	if (c->kept != 0)
		f.after = works_ended(
			w, c, c->farewell_void, c->farewell_expiry, c->farewell_expiry_s);
	if (l->farewell_count == 0 && say_farewell(w, &f))
		return;
	/* At most one for each connection that the control plane has not yet heard of... */
	if (l->farewell_count < w->conf.config.connections_max)
		l->farewells[l->farewell_count++] = f;
	else /* ...beyond which it is told everything anew */
		l->resyncing = true;
}

static void flush_farewells(struct worker *w)
{
	struct worker_link *l = &w->link;
	uint32_t kept = 0;

	for (uint32_t i = 0; i < l->farewell_count; i++)
		if (!say_farewell(w, &l->farewells[i]))
			l->farewells[kept++] = l->farewells[i];
	l->farewell_count = kept;
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
		.durable = c->durable,
		.kept = c->kept != 0,
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
	if (c->grant == GRANT_LIVE) {
		c->kept = g->session;
		c->durable = g->session != 0 && g->durable != 0;
	}
	const struct session_grant grant = {.verdict = (enum session_verdict)g->verdict,
		.session_present = g->session_present != 0,
		.durable = c->durable,
		.kept = c->kept != 0,
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

/* What the store has done is so, even if who said it is no more. */
static bool outlives_its_sender(uint8_t type)
{
	return type == SHM_EVENT_DONE || type == SHM_EVENT_REFUSED;
}

static void on_event(struct worker *w, const struct shm_slot *slot)
{
	if (slot->receiver != (uint32_t)w->link.generation)
		return; /* to a dataplane that is no more */
	if (slot->sender != (uint32_t)w->link.peer_generation && !outlives_its_sender(slot->type))
		return; /* from a control plane that is no more */
	if (slot->type == SHM_EVENT_GRANT)
		on_grant(w, &slot->grant);
	else if (slot->type == SHM_EVENT_REVOKE)
		on_revoke(w, &slot->revoke);
	else if (slot->type == SHM_EVENT_TRIED)
		attempts_on_tried(w, &slot->trial);
	else
		works_on_event(w, slot);
}

/* A session that it keeps: where its client stands. There is room: reintroduce saw to that. */
static bool say_position(struct worker *w, const struct connection *c)
{
	const struct shm_position body = {.connection = {c->id.index, c->id.generation},
		.session = c->kept,
		.delivered = c->delivered,
		.receive_max = c->asked.receive_max,
		.durable = c->durable};

	return c->kept == 0 || link_push(w, SHM_COMMAND_POSITION, &body, sizeof(body));
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
	body.flags &= (uint8_t) ~(SHM_CONNECT_WILL | SHM_CONNECT_USERNAME | SHM_CONNECT_PASSWORD);
	body.flags |= SHM_CONNECT_LIVE;
	body.epoch = c->epoch;
	body.client_id_size = (uint16_t)id.size;
	body.username_size = body.password_size = 0;
	return link_put(w, &id, 1, &body.text) &&
	       link_push(w, SHM_COMMAND_CONNECT, &body, sizeof(body)) && say_position(w, c);
}

/* A new control plane, or one that has missed too much: everything from the start. */
static void begin_resync(struct worker *w, uint64_t generation)
{
	struct worker_link *l = &w->link;

	l->peer_generation = generation;
	l->commands.receiver = (uint32_t)generation;
	l->farewell_count = 0; /* it never knew them */
	l->resync_at = 0;
	works_rewind(w);
	tiers_renew(w);
	attempts_renew(w);
	l->introducing = true;
	l->resyncing = !greet(w);
	if (!works_loaded(w))
		works_forget_replicas(w); /* it sends them all */
}

/* Greeting, who is here, what is open, in this order, as far as there is room. */
static void resync(struct worker *w)
{
	struct worker_link *l = &w->link;
	const uint64_t generation = shm_load(&l->peer->generation);

	if (generation == 0)
		return; /* there was none yet */
	if (generation != l->peer_generation || l->resyncing)
		begin_resync(w, generation);
	if (l->resyncing || !l->introducing)
		return;
	while (l->resync_at < w->conf.config.connections_max &&
		reintroduce(w, &w->connections[l->resync_at]))
		l->resync_at++;
	if (l->resync_at == w->conf.config.connections_max)
		l->introducing = !works_resync(w);
}

bool link_poll(struct worker *w)
{
	struct worker_link *l = &w->link;
	bool any = false;

	if (!linked(w))
		return false;
	resync(w);
	for (uint32_t n = 0; n < WORKER_LINK_SLOTS && works_takes_events(w); n++) {
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

bool link_flush(struct worker *w)
{
	struct worker_link *l = &w->link;

	if (!linked(w))
		return false;
	const bool moved = works_flush(w);
	flush_farewells(w);
	if (l->rang)
		shm_doorbell_ring(l->peer, w->conf.link.doorbell);
	l->rang = false;
	return moved;
}
