/* tcp_sack.h - the scoreboard: what the peer holds beyond SND.UNA, as it says.
 *
 * Pure: sorted, disjoint ranges and RFC 6675's questions about them. Bounded:
 * what does not fit is forgotten, which costs a needless retransmission, never
 * a byte. Spec: RFC 2018, 6675. Not here: what is sent when (tcp_output.c). */
#pragma once
#include "dataplane/base/attr.h"
#include "dataplane/tcp/tcp_header.h"

enum { BOARD_RANGES = 32, BOARD_LOST_RANGES = 3 /* RFC 6675's DupThresh */ };

struct board {
	uint32_t count;
	struct tcp_range range[BOARD_RANGES];
};

/* The rest of what RFC 6675 section 2 defines. */
struct board_flight {
	uint32_t una;      /* HighACK + 1 */
	uint32_t max;      /* HighData + 1 */
	uint32_t high_rxt; /* HighRxt + 1; una when nothing was retransmitted */
	uint32_t mss;
	uint32_t lost; /* by time: what is not reported below; una: nothing */
};

void board_init(struct board *b);
/* Adds what was reported; returns how many bytes of it were news. */
uint32_t board_add(struct board *b, struct tcp_range range);
/* Forgets what lies below una. */
void board_advance(struct board *b, uint32_t una);
/* Bytes reported below `upto`. */
uint32_t board_bytes(const struct board *b, uint32_t upto);
/* IsLost (): what is not reported below this number is lost; una if nothing is. */
uint32_t board_lost_edge(const struct board *b, const struct board_flight *f);
/* SetPipe (): bytes still in the network. */
uint32_t board_pipe(const struct board *b, const struct board_flight *f);
/* The first run of bytes from `from` on, below `to`, that was not reported. */
bool board_hole(const struct board *b, struct tcp_range within, struct tcp_range *out);
/* The end of the highest range; una when there is none. */
uint32_t board_top(const struct board *b, uint32_t una);
void board_check(const struct board *b, const struct board_flight *f);
