/* wire_matrix.c - see wire_matrix.h. RFC 9293 3.10.7 with RFC 5961's answers, as one table.
 *
 * Read a row to know a state, a column to know a segment. A cell is the answer, then ">" and the
 * next state if it is another, then "!" and the event if there is one. */
#include "tests/wire/wire_matrix.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TEXT = 1024, CELL = 40 };

/* Relative numbers: what we expect next, what we sent. */
struct state {
	const char *name;
	const char *shown; /* by the command `state` */
	const char *setup;
	unsigned rcv, una, nxt;
};

#define BASE                                                                                       \
	"established\n< P. 1:11 ack 1\nread 10\nwrite 100\n> P. 1:101 ack 11\n< . 11 ack 101\n"    \
	"write 100\n> P. 101:201 ack 11\n"
#define BASE_FIN_WAIT_1 BASE "< . 11 ack 201\nclose\n> F. 201 ack 11\n"
#define BASE_FIN_WAIT_2 BASE_FIN_WAIT_1 "< . 11 ack 202\n"

static const struct state states[] = {
	{"closed", "CLOSED", "listen\n", 1, 0, 0},
	{"listen", "CLOSED", "listen\n", 1, 0, 0},
	{"syn_sent", "SYN_SENT", "connect\n> S 0\n", 1, 0, 1},
	{"syn_received", "SYN_RECEIVED", "listen\n< S 0\n> S. 0 ack 1\n", 1, 0, 1},
	{"syn_crossed", "SYN_RECEIVED", "connect\n> S 0\n< S 0\n> S. 0 ack 1\n", 1, 0, 1},
	{"established", "ESTABLISHED", BASE, 11, 101, 201},
	{"fin_wait_1", "FIN_WAIT_1", BASE_FIN_WAIT_1, 11, 201, 202},
	{"fin_wait_2", "FIN_WAIT_2", BASE_FIN_WAIT_2, 11, 202, 202},
	{"close_wait", "CLOSE_WAIT", BASE "< F. 11 ack 101\n> . 201 ack 12\n", 12, 101, 201},
	{"closing", "CLOSING", BASE_FIN_WAIT_1 "< F. 11 ack 201\n> . 202 ack 12\n", 12, 201, 202},
	{"last_ack", "LAST_ACK", BASE "< F. 11 ack 201\n> . 201 ack 12\nclose\n> F. 201 ack 12\n",
		12, 201, 202},
	{"time_wait", "TIME_WAIT", BASE_FIN_WAIT_2 "< F. 11 ack 202\n> . 202 ack 12\nclosed\n", 12,
		202, 202},
};

/* A segment: flags, its number from RCV.NXT, its payload, and its ACK from una or nxt; what else
 * the script says of it. */
struct segment {
	const char *name;
	const char *flags;
	int seq;
	bool absolute;
	unsigned size;
	enum { NO_ACK, FROM_UNA, FROM_NXT } from;
	int ack;
	const char *more;
};

static const struct segment segments[] = {
	{"syn", "S", 0, false, 0, NO_ACK, 0, ""},
	{"syn_new", "S", 1000, false, 0, NO_ACK, 0, ""},
	{"syn_again", "S", 0, true, 0, NO_ACK, 0, ""},
	{"synack", "S.", 0, false, 0, FROM_NXT, 0, ""},
	{"rst", "R", 0, false, 0, NO_ACK, 0, ""},
	{"rst_ack", "R.", 0, false, 0, FROM_NXT, 0, ""},
	{"rst_in", "R", 100, false, 0, NO_ACK, 0, ""},
	{"rst_below", "R", -1, false, 0, NO_ACK, 0, ""},
	{"rst_above", "R", 70000, false, 0, NO_ACK, 0, ""},
	{"ack_old", ".", 0, false, 0, FROM_UNA, -50, ""},
	{"ack_dup", ".", 0, false, 0, FROM_UNA, 0, ""},
	{"ack_new", ".", 0, false, 0, FROM_NXT, 0, ""},
	{"ack_beyond", ".", 0, false, 0, FROM_NXT, 1, ""},
	{"data_in", "P.", 0, false, 10, FROM_UNA, 0, ""},
	{"data_old", "P.", -1, false, 1, FROM_UNA, 0, ""},
	{"data_out", "P.", 70000, false, 10, FROM_UNA, 0, ""},
	{"fin_in", "F.", 0, false, 0, FROM_UNA, 0, ""},
	{"fin_old", "F.", -1, false, 0, FROM_UNA, 0, ""},
	{"fin_out", "F.", 70000, false, 0, FROM_UNA, 0, ""},
	{"no_flags", "-", 0, false, 0, NO_ACK, 0, ""},
	{"data_fin", "FP.", 0, false, 10, FROM_UNA, 0, ""},
	{"data_acks_all", "P.", 0, false, 10, FROM_NXT, 0, ""},
	{"fin_acks_all", "F.", 0, false, 0, FROM_NXT, 0, ""},
	{"urgent", "PU.", 0, false, 10, FROM_UNA, 0, " urg=5"},
	{"zero_window", ".", 0, false, 0, FROM_UNA, 0, " win 0"},
	{"keepalive", ".", -1, false, 0, FROM_NXT, 0, ""},
	{"data_ahead", "P.", 10, false, 10, FROM_UNA, 0, ""},
	{"fin_ahead", "F.", 10, false, 0, FROM_UNA, 0, ""},
	{"data_overlap", "P.", -1, false, 11, FROM_UNA, 0, ""},
	{"data_no_ack", "P", 0, false, 10, NO_ACK, 0, ""},
	{"fin_no_ack", "F", 0, false, 0, NO_ACK, 0, ""},
	{"rst_text", "R", 0, false, 10, NO_ACK, 0, ""},
	{"syn_text", "S", 0, false, 10, NO_ACK, 0, ""},
	{"syn_fin", "SF", 0, false, 0, NO_ACK, 0, ""},
	{"syn_rst", "SR", 0, false, 0, NO_ACK, 0, ""},
};

enum {
	STATES = sizeof(states) / sizeof(states[0]),
	SEGMENTS = sizeof(segments) / sizeof(segments[0])
};

/* Answers: - nothing, A ACK of RCV.NXT, F that and one more, D that and ten more after 40 ms,
 * O the same at once, since some of them were old, E ACK of ten bytes and a FIN, R RST with SEG.ACK
 * as its number, Z RST and ACK from number 0, S SYN-ACK, * anything. */
/* clang-format off */
static const char *const cells[STATES][SEGMENTS] = {
	/* closed */
	{"Z", "Z", "Z", "R", "-", "-", "-", "-", "-", "R", "R", "R", "R",
	 "R", "R", "R", "R", "R", "R", "Z",
	 "R", "R", "R", "R", "R", "R", "R", "R",
	 "R", "Z", "Z", "-", "Z", "Z", "-"},
	/* listen */
	{"S>SYN_RECEIVED", "S>SYN_RECEIVED", "S>SYN_RECEIVED", "R", "-", "-", "-", "-", "-",
	 "R", "R", "R", "R", "R", "R", "R", "R", "R", "R", "-",
	 "R", "R", "R", "R", "R", "R", "R", "R",
	 "R", "-", "-", "-", "S>SYN_RECEIVED", "-", "-"},
	/* syn_sent */
	{"S>SYN_RECEIVED", "S>SYN_RECEIVED", "S>SYN_RECEIVED", "F>ESTABLISHED!connected", "-",
	 "->CLOSED!reset", "-", "-", "-", "R", "R", "-", "R",
	 "R", "R", "R", "R", "R", "R", "-",
	 "R", "-", "-", "R", "R", "-", "R", "R",
	 "R", "-", "-", "-", "S>SYN_RECEIVED", "S>SYN_RECEIVED", "-"},
	/* syn_received */
	{"->CLOSED", "->CLOSED", "S", "->CLOSED", "->CLOSED", "->CLOSED", "A", "-", "-",
	 "R", "R", "->ESTABLISHED!accept", "R", "R", "A", "A", "R", "A", "A", "-",
	 "R", "D>ESTABLISHED!accept", "F>CLOSE_WAIT!accept", "R", "R", "A", "R", "R",
	 "R", "-", "-", "->CLOSED", "->CLOSED", "->CLOSED", "->CLOSED"},
	/* syn_crossed */
	{"A", "A", "S", "A", "->CLOSED!reset", "->CLOSED!reset", "A", "-", "-",
	 "R", "R", "->ESTABLISHED!connected", "R", "R", "A", "A", "R", "A", "A", "-",
	 "R", "D>ESTABLISHED!connected", "F>CLOSE_WAIT!connected", "R", "R", "A", "R", "R",
	 "R", "-", "-", "->CLOSED!reset", "A", "A", "->CLOSED!reset"},
	/* established */
	{"A", "A", "A", "A", "->CLOSED!reset", "->CLOSED!reset", "A", "-", "-",
	 "-", "-", "-", "A", "D", "A", "A", "F>CLOSE_WAIT", "A", "A", "-",
	 "E>CLOSE_WAIT", "D", "F>CLOSE_WAIT", "D", "-", "A", "A", "A",
	 "O", "-", "-", "->CLOSED!reset", "A", "A", "->CLOSED!reset"},
	/* fin_wait_1 */
	{"A", "A", "A", "A", "->CLOSED!reset", "->CLOSED!reset", "A", "-", "-",
	 "-", "-", "->FIN_WAIT_2", "A", "D", "A", "A", "F>CLOSING", "A", "A", "-",
	 "E>CLOSING", "D>FIN_WAIT_2", "F>TIME_WAIT!closed", "D", "-", "A", "A", "A",
	 "O", "-", "-", "->CLOSED!reset", "A", "A", "->CLOSED!reset"},
	/* fin_wait_2 */
	{"A", "A", "A", "A", "->CLOSED!reset", "->CLOSED!reset", "A", "-", "-",
	 "-", "-", "-", "A", "D", "A", "A", "F>TIME_WAIT!closed", "A", "A", "-",
	 "E>TIME_WAIT", "D", "F>TIME_WAIT!closed", "D", "-", "A", "A", "A",
	 "O", "-", "-", "->CLOSED!reset", "A", "A", "->CLOSED!reset"},
	/* close_wait */
	{"A", "A", "A", "A", "->CLOSED!reset", "->CLOSED!reset", "A", "-", "-",
	 "-", "-", "-", "A", "A", "A", "A", "-", "A", "A", "-",
	 "A", "A", "-", "A", "-", "A", "A", "-",
	 "A", "-", "-", "->CLOSED!reset", "A", "A", "->CLOSED!reset"},
	/* closing */
	{"A", "A", "A", "A", "->CLOSED!reset", "->CLOSED!reset", "A", "-", "-",
	 "-", "-", "->TIME_WAIT!closed", "A", "A", "A", "A", "-", "A", "A", "-",
	 "A", "->TIME_WAIT!closed", "->TIME_WAIT!closed", "A", "-", "A", "A", "-",
	 "A", "-", "-", "->CLOSED!reset", "A", "A", "->CLOSED!reset"},
	/* last_ack */
	{"A", "A", "A", "A", "->CLOSED!reset", "->CLOSED!reset", "A", "-", "-",
	 "-", "-", "->CLOSED!closed", "A", "A", "A", "A", "-", "A", "A", "-",
	 "A", "->CLOSED!closed", "->CLOSED!closed", "A", "-", "A", "A", "-",
	 "A", "-", "-", "->CLOSED!reset", "A", "A", "->CLOSED!reset"},
	/* time_wait */
	{"A", "*>SYN_RECEIVED", "A", "A", "-", "-", "-", "-", "-",
	 "-", "-", "-", "-", "A", "A", "A", "A", "A", "A", "-",
	 "A", "A", "A", "A", "-", "A", "A", "A",
	 "A", "-", "-", "-", "A", "A", "-"},
};
/* clang-format on */

__attribute__((format(printf, 2, 3))) static void put(char *text, const char *format, ...)
{
	const size_t used = strlen(text);
	va_list args;

	va_start(args, format);
	vsnprintf(text + used, TEXT - used, format, args);
	va_end(args);
}

static void put_segment(char *text, const struct state *st, const struct segment *s)
{
	const int seq = (s->absolute ? 0 : (int)st->rcv) + s->seq;

	put(text, "< %s %d:%d", s->flags, seq, seq + (int)s->size);
	if (s->from != NO_ACK)
		put(text, " ack %d", (int)(s->from == FROM_UNA ? st->una : st->nxt) + s->ack);
	put(text, "%s", s->more);
	if (strcmp(st->name, "closed") == 0)
		put(text, " lport=81");
	put(text, "\n");
}

/* SEG.LEN: SYN and FIN count. */
static unsigned length_of(const struct segment *s)
{
	return s->size + (strchr(s->flags, 'S') != NULL) + (strchr(s->flags, 'F') != NULL);
}

static void put_answer(char *text, const struct state *st, const struct segment *s, char answer)
{
	const int seq = (s->absolute ? 0 : (int)st->rcv) + s->seq;
	const int ack = (int)(s->from == FROM_UNA ? st->una : st->nxt) + s->ack;
	const char *port = strcmp(st->name, "closed") == 0 ? " lport=81" : "";

	switch (answer) {
	case 'A':
		put(text, "> . %u ack %u\n", st->nxt, st->rcv);
		break;
	case 'F':
		put(text, "> . %u ack %u\n", st->nxt, st->rcv + 1);
		break;
	case 'E':
		put(text, "> . %u ack %u\n", st->nxt, st->rcv + 11);
		break;
	case 'O':
		put(text, "> . %u ack %u\n", st->nxt, st->rcv + 10);
		break;
	case 'D':
		put(text, "+39ms\n+1ms\n> . %u ack %u\n", st->nxt, st->rcv + 10);
		break;
	case 'R':
		put(text, "> R %d%s\n", ack, port);
		break;
	case 'Z':
		put(text, "> R. 0 ack %d%s\n", seq + (int)length_of(s), port);
		break;
	case 'S':
		put(text, "> S. 0 ack %d\n", seq + 1);
		break;
	case '*':
		put(text, "> *\n");
		break;
	default:
		break;
	}
}

static char *make(const struct state *st, const struct segment *s, const char *cell)
{
	char *text = calloc(1, TEXT);
	char parts[CELL];

	if (text == NULL)
		abort();
	snprintf(parts, sizeof(parts), "%s", cell);
	char *event = strchr(parts, '!');
	if (event != NULL)
		*event++ = 0;
	char *next = strchr(parts, '>');
	if (next != NULL)
		*next++ = 0;
	put(text, "%s", st->setup);
	put_segment(text, st, s);
	put_answer(text, st, s, cell[0]);
	if (event != NULL)
		put(text, "%s\n", strcmp(event, "reset") == 0 ? "closed TCP_RESET" : event);
	put(text, "state %s\n", next == NULL ? st->shown : next);
	return text;
}

/* Right answers, row by row; a cell that nobody filled in is a hole. */
unsigned matrix_print(FILE *to)
{
	unsigned holes = 0;

	for (unsigned k = 0; k < SEGMENTS; k++)
		fprintf(to, "%2u %s %s\n", k + 1, segments[k].flags, segments[k].name);
	for (unsigned i = 0; i < STATES; i++) {
		fprintf(to, "\n%s:", states[i].name);
		for (unsigned k = 0; k < SEGMENTS; k++) {
			holes += cells[i][k] == NULL;
			fprintf(to, " %u:%s", k + 1, cells[i][k] == NULL ? "?" : cells[i][k]);
		}
	}
	fprintf(to, "\n\n%d states, %d segments, %d cells, %u holes\n", STATES, SEGMENTS,
		STATES * SEGMENTS, holes);
	return holes;
}

void matrix_make(void (*add)(const char *name, char *text))
{
	char name[96];

	for (unsigned i = 0; i < STATES; i++)
		for (unsigned k = 0; k < SEGMENTS; k++) {
			if (cells[i][k] == NULL)
				continue;
			snprintf(name, sizeof(name), "matrix_%s_%s", states[i].name,
				segments[k].name);
			add(name, make(&states[i], &segments[k], cells[i][k]));
		}
}
