/* tcp_flight.c - see tcp_flight.h: taking one, and giving it back. */
#include "dataplane/tcp/tcp_internal.h"

struct flight *tcp_flight_of(const struct tcp *t, const struct conn *c)
{
	const uint32_t index = conn_cold(t, c)->flight;

	return index == TCP_NONE ? NULL : pool_at(&t->flights, index);
}

/* Is anything in the network, or about to be? */
bool tcp_flight_wanted(const struct conn *c)
{
	return c->snd_una != c->snd_max || c->send_bytes > 0;
}

struct flight *tcp_flight_get(struct tcp *t, struct conn *c, bool lost)
{
	struct conn_cold *cold = conn_cold(t, c);

	if (cold->flight != TCP_NONE)
		return tcp_flight_of(t, c);
	if (!tcp_flight_wanted(c) || (!lost && t->flights.out >= t->flights.count / 2))
		return NULL;
	cold->flight = pool_get(&t->flights);
	if (cold->flight == TCP_NONE)
		return NULL;
	struct flight *f = tcp_flight_of(t, c);
	f->has_board = false; /* the board itself is written when it is used */
	f->has_hystart = false;
	f->cubic = (struct cubic){0};
	f->prr = (struct prr){0};
	f->tail = (struct tail){0};
	f->undo = (struct undo){0};
	return f;
}

void tcp_flight_put(struct tcp *t, struct conn *c)
{
	struct conn_cold *cold = conn_cold(t, c);

	if (cold->flight == TCP_NONE)
		return;
	pool_put(&t->flights, cold->flight);
	cold->flight = TCP_NONE;
}

struct board *tcp_board_of(const struct tcp *t, const struct conn *c)
{
	struct flight *f = tcp_flight_of(t, c);

	return f == NULL || !f->has_board ? NULL : &f->board;
}
