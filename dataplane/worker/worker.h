/* worker.h - one worker: packets in, packets out, one turn at a time.
 *
 * A worker owns a queue pair, a TCP stack, the sessions of the connections that
 * land on it, their subscriptions and the messages they publish. It shares
 * nothing with other workers. It is the only place that performs effects: the
 * layers below compute, worker_turn carries out. It never blocks and never asks
 * a clock; main.c (or a simulation) calls worker_turn with the time.
 *
 * One turn: answers of the control plane, a burst of frames, timers, sessions,
 * one flush. Each step has a budget, so a turn is short whatever peers do. */
#pragma once
#include "dataplane/worker/box.h"

struct worker;

/* NULL, with a reason in `why`, when memory does not suffice. */
MUST_USE struct worker *worker_create(
	const struct box_conf *conf, uint64_t now_us, char *why, size_t why_size);
/* Tells nobody, neither peers nor the control plane; gives all buffers back. */
void worker_destroy(struct worker **worker);

/* True when it found something to do. */
bool worker_turn(struct worker *w, uint64_t now_us);
/* The next time at which something is due without any packet; UINT64_MAX: nothing. */
uint64_t worker_next_us(const struct worker *w);
/* Waits for an answer of the control plane: do not sleep long. */
bool worker_waits(const struct worker *w);
/* All that is durable is known here: what the control plane waits for before it grants anybody. */
bool worker_loaded(const struct worker *w);

/* Says goodbye to every client; turn on until worker_idle or patience ends. */
void worker_shutdown(struct worker *w, uint64_t now_us);
uint32_t worker_connections(const struct worker *w);
size_t worker_bytes(const struct box_conf *conf); /* tables that worker_create takes */
