/* wire_script.h - packet scripts: what the peer sends, what must come back, and when.
 *
 * One command a line; `#` begins a comment. Sequence numbers count from each
 * side's own ISN (so 1 is the first byte); byte k of a stream is always the same.
 *
 *	conf window=10000 keepalive=60s   before all else; see wire_rig.h for the names
 *	listen | connect [wait]           connect: from port 2000 to 80
 *	established [ts] [sack] [ws=N] [mss=N] [win=N]     listen, handshake, accept
 *	connected [ts] [sack] [ws=N] [mss=N] [win=N]       connect, handshake
 *	< FLAGS SEQ[:END] [ack N] [win N] [<OPTIONS>] [sport=N] [lport=N] [off=N] [urg=N] [badsum]
 *[badbytes] > FLAGS SEQ[:END] [ack N] [win N] [<OPTIONS>] [at TIME] [dport=N] [lport=N]  or  > *
 *	icmp TYPE/CODE SEQ ...            an ICMP error about a segment of ours; see wire_icmp.h
 *	accept | closed [WHY] | writable  an event
 *	read N | available N | end        from the stream; end: FIN seen and all read
 *	write N [full] | lend N | close | abort
 *	+TIME                             200us, 40ms, 1.5s: time passes
 *	hold | turn                       several lines are one turn
 *	nic full | nic ok | state NAME | count COUNTER N | forget
 *
 * FLAGS: S F R P U, `.` for ACK, `-` for none. OPTIONS: mss N, ws N, sackok, ts VAL ECR,
 * sack L:R ..., nosack, raw HEX; VAL and ECR of our side count milliseconds of script time. Every
 * segment must be expected: one that is left over fails the next command. `forget` lets
 * all go. WHY is a row of err.def. */
#pragma once
#include <stdbool.h>
#include <stddef.h>

enum { SCRIPT_WHY = 512 };

/* Runs the text; false, with a reason in `why`, when something was not as it should be. */
bool script_run(const char *text, char why[SCRIPT_WHY]);
