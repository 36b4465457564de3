/* tcp_sack.c - see tcp_sack.h. */
#include "dataplane/tcp/tcp_sack.h"

#include "dataplane/base/assert.h"
#include "dataplane/tcp/tcp_seq.h"

void board_init(struct board *b)
{
	b->count = 0;
}

/* Replaces ranges first..end-1 by `with`. */
static void splice(struct board *b, uint32_t first, uint32_t end, struct tcp_range with)
{
	const uint32_t tail = b->count - end;

	ASSERT(first <= end);
	ASSERT(first + 1 + tail <= BOARD_RANGES);
	memmove(&b->range[first + 1], &b->range[end], tail * sizeof(b->range[0]));
	b->range[first] = with;
	b->count = first + 1 + tail;
}

uint32_t board_add(struct board *b, struct tcp_range range)
{
	uint32_t known = 0;
	uint32_t first = 0;

	ASSERT(seq_lt(range.left, range.right));
	while (first < b->count && seq_lt(b->range[first].right, range.left))
		first++;
	uint32_t end = first;
	struct tcp_range whole = range;
	for (; end < b->count && seq_le(b->range[end].left, range.right); end++) {
		whole.left = seq_min(whole.left, b->range[end].left);
		whole.right = seq_max(whole.right, b->range[end].right);
		known += b->range[end].right - b->range[end].left;
	}
	if (first == end && b->count == BOARD_RANGES)
		return 0; /* full: forgotten */
	splice(b, first, end, whole);
	return whole.right - whole.left - known;
}

void board_advance(struct board *b, uint32_t una)
{
	uint32_t gone = 0;

	while (gone < b->count && seq_le(b->range[gone].right, una))
		gone++;
	b->count -= gone;
	memmove(&b->range[0], &b->range[gone], b->count * sizeof(b->range[0]));
	if (b->count > 0)
		b->range[0].left = seq_max(b->range[0].left, una);
}

uint32_t board_bytes(const struct board *b, uint32_t upto)
{
	uint32_t bytes = 0;

	for (uint32_t i = 0; i < b->count && seq_lt(b->range[i].left, upto); i++)
		bytes += seq_min(b->range[i].right, upto) - b->range[i].left;
	return bytes;
}

/* RFC 6675 4, IsLost (): three ranges, or more than two segments' bytes, lie above. */
static uint32_t lost_by_count(const struct board *b, const struct board_flight *f)
{
	uint32_t bytes = 0;

	for (uint32_t i = b->count; i-- > 0;) {
		bytes += b->range[i].right - b->range[i].left;
		if (b->count - i >= BOARD_LOST_RANGES || bytes > (BOARD_LOST_RANGES - 1) * f->mss)
			return b->range[i].left;
	}
	return f->una;
}

uint32_t board_lost_edge(const struct board *b, const struct board_flight *f)
{
	return seq_max(lost_by_count(b, f), seq_min(f->lost, board_top(b, f->una)));
}

/* Bytes of [left, right) below edge. */
static uint32_t below(uint32_t left, uint32_t right, uint32_t edge)
{
	return seq_le(edge, left) ? 0 : seq_min(right, edge) - left;
}

/* RFC 6675 4, SetPipe (): a byte counts once if not lost, and once more if retransmitted. */
uint32_t board_pipe(const struct board *b, const struct board_flight *f)
{
	const uint32_t lost = board_lost_edge(b, f);
	uint32_t at = f->una;
	uint32_t pipe = 0;

	for (uint32_t i = 0; i <= b->count; i++) {
		const uint32_t end = i < b->count ? b->range[i].left : f->max;
		if (seq_lt(at, end)) {
			pipe += (end - at) - below(at, end, lost);
			pipe += below(at, end, f->high_rxt);
		}
		if (i < b->count)
			at = b->range[i].right;
	}
	return pipe;
}

bool board_hole(const struct board *b, struct tcp_range within, struct tcp_range *out)
{
	for (uint32_t i = 0; i < b->count && seq_lt(within.left, within.right); i++) {
		if (seq_le(b->range[i].right, within.left))
			continue;
		if (seq_lt(within.left, b->range[i].left)) {
			within.right = seq_min(within.right, b->range[i].left);
			break;
		}
		within.left = b->range[i].right;
	}
	*out = within;
	return seq_lt(within.left, within.right);
}

uint32_t board_top(const struct board *b, uint32_t una)
{
	return b->count == 0 ? una : b->range[b->count - 1].right;
}

void board_check(const struct board *b, const struct board_flight *f)
{
	uint32_t at = f->una;

	ASSERT(b->count <= BOARD_RANGES);
	for (uint32_t i = 0; i < b->count; i++) {
		ASSERT(seq_le(at, b->range[i].left));
		ASSERT(i == 0 || at != b->range[i].left);
		ASSERT(seq_lt(b->range[i].left, b->range[i].right));
		at = b->range[i].right;
	}
	ASSERT(seq_le(at, f->max));
}
