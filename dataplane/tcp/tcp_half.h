/* tcp_half.h - segments that belong to no connection: half-open records, cookies, replies.
 *
 * For the files of dataplane/tcp; the records are tcp_half.c's, the cookies tcp_cookie.c's. */
#pragma once
#include "dataplane/tcp/tcp_internal.h"

/* tcp_emit.c */
struct reply {
	struct tcp_tuple tuple;
	struct tcp_header h;
};
bool tcp_emit_reply(struct tcp *t, const struct reply *r);       /* false: no room or buffer */
void tcp_reset_stranger(struct tcp *t, const struct segment *s); /* RFC 9293 3.10.7.1 */

/* tcp_open.c */
/* Is there a place for one more connection? Counts why not. */
MUST_USE bool tcp_may_accept(struct tcp *t, const struct listener *l);
/* A connection, where there is place, in SYN-RECEIVED: the ACK in hand must establish it. */
struct conn *tcp_accept(
	struct tcp *t, const struct listener *l, const struct segment *syn, uint32_t iss);
uint32_t tcp_ts_offset(const struct tcp *t, const struct tcp_tuple *tuple);

/* tcp_half.c: SYN-RECEIVED of listeners */
size_t tcp_half_bytes(uint32_t count);
void tcp_half_init(struct tcp *t, void *memory);
void tcp_half_begin(struct tcp *t, const struct listener *l, const struct segment *s, uint32_t iss);
void tcp_half_input(struct tcp *t, uint32_t index, struct segment *s);
uint32_t tcp_half_poll(struct tcp *t, uint64_t now_us, uint32_t budget);
uint64_t tcp_half_next_us(const struct tcp *t);
bool tcp_half_same(const struct tcp *t, uint32_t index, const struct tcp_tuple *tuple);
void tcp_half_check(const struct tcp *t);
MUST_USE bool tcp_half_is_full(const struct tcp *t);
uint16_t tcp_window_of_syn(const struct tcp *t);

/* tcp_cookie.c: when those are used up */
void tcp_cookie_init(struct tcp *t);
void tcp_cookie_send(struct tcp *t, const struct segment *s);
/* The end of a handshake of ours? Takes the segment if it is. */
MUST_USE bool tcp_cookie_input(struct tcp *t, struct listener *l, struct segment *s);
MUST_USE bool tcp_cookie_is_good(struct tcp *t, const struct segment *s);

/* tcp_input.c: a segment of a connection; RFC 9293 3.4's four cases */
void tcp_input_conn(struct tcp *t, struct conn *c, struct segment *s);
bool tcp_is_acceptable(const struct segment *s, uint32_t rcv_nxt, uint32_t window);
