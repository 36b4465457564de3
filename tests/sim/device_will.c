/* device_will.c - which wills must be published, as far as their client can know. */
#include "tests/sim/device_internal.h"

#include <stdio.h>

enum {
	WILL_SIZE = 32,
	DOUBT_US = 30000000, /* what was said so long before a death is surely known */
};

void device_will_said(struct device *d, struct client_greeting *g)
{
	const struct ledger_message m = {.publisher = d->conf.number,
		.topic = d->conf.will_topic,
		.size = WILL_SIZE,
		.qos = d->conf.will_qos,
		.will = true};

	d->will = d->conf.will_topic == NULL ? LEDGER_NONE : ledger_attempt(d->ledger, &m);
	if (d->will == LEDGER_NONE)
		return;
	memcpy(d->will_payload, ledger_payload(d->ledger, d->will).at, WILL_SIZE);
	g->will_topic = d->conf.will_topic;
	g->will_payload = span_of(d->will_payload, WILL_SIZE);
	g->will_qos = d->conf.will_qos;
	g->will_delay_s = d->conf.will_delay_s;
}

/* The connection has ended; `goodbye`: the box has heard our DISCONNECT. */
void device_will_gone(struct device *d, bool goodbye)
{
	const bool delayed = d->conf.will_delay_s > 0 && !d->conf.clean; /* only 5.0 has delays */

	d->late_will_doubted |= !d->granted && !d->clean;
	if (d->will == LEDGER_NONE)
		return;
	if (goodbye) {
		ledger_will(d->ledger, d->will, LEDGER_WILL_VOID);
		d->void_will = d->will;
		d->void_will_us = d->now_us;
	} else if (!d->granted || d->leaving) {
		ledger_will(d->ledger, d->will, LEDGER_WILL_MAYBE);
	} else if (delayed) {
		ledger_will(d->ledger, d->will, LEDGER_WILL_MAYBE); /* until we are back */
		d->late_will = d->will;
		d->late_will_from_us = d->now_us;
		d->late_will_doubted = false;
	} else {
		ledger_will(d->ledger, d->will, LEDGER_WILL_DUE);
	}
	d->will = LEDGER_NONE;
}

/* We are back. Was the delay over? The box may have noticed later than we that we were gone. */
void device_will_returned(struct device *d, bool clean)
{
	const uint64_t away_us = d->now_us - d->late_will_from_us;
	const uint64_t delay_us = d->conf.will_delay_s * 1000000ull;

	if (d->late_will == LEDGER_NONE)
		return;
	if (clean && !d->late_will_doubted)
		ledger_will(d->ledger, d->late_will, LEDGER_WILL_DUE); /* its session has ended */
	else if (!clean && !d->confused && away_us + DEVICE_EXPIRY_MARGIN_US < delay_us)
		ledger_will(d->ledger, d->late_will, LEDGER_WILL_VOID);
	d->late_will = LEDGER_NONE;
}

void device_disturbed(struct device *d, uint64_t now_us)
{
	if (d->void_will != LEDGER_NONE && now_us - d->void_will_us < DOUBT_US)
		ledger_will(d->ledger, d->void_will, LEDGER_WILL_MAYBE);
	d->void_will = LEDGER_NONE;
}
