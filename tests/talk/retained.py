#!/usr/bin/env python3
"""Many retained topics: complete and in order while publishes go on, and no more than the limit.

A hundred thousand of them; with --long a million. Beyond the limit each is refused, at once.
"""
import os
import sys
import tempfile

from _box import ROOT, Box, beside, check, main
from first_light import overview_counter

CLIENTS = os.path.join(ROOT, "tests", "talk", "clients")
LONG = os.environ.get("SIGNALBOX_LONG") == "1"
TOPICS = 100_000
MILLION = 1_000_000
LIMIT = 1000
BEYOND = 300
CONFIG = "limits:\n  retained: {}\n  retained_bytes: {}MiB\n"


def alone(case):
    """The case starts and stops boxes itself."""
    case.alone = True
    return case


def with_limit(limit, mib):
    """A case with a box that retains so much."""
    def wrap(case):
        @alone
        def run_case(nic, *options):
            with tempfile.TemporaryDirectory(prefix="signalbox-retained-") as data:
                os.chmod(data, 0o755)
                config = os.path.join(data, "box.yaml")
                with open(config, "w", encoding="ascii") as f:
                    f.write(CONFIG.format(limit, mib))
                box = Box(nic, *options, "--config", config, "--data", data)
                try:
                    case(box)
                finally:
                    box.stop()
        return run_case
    return wrap


def many(box, topics, patience_s):
    out = beside("node", os.path.join(CLIENTS, "retained_many.mjs"), box.address, str(topics),
                 str(patience_s), patience_s=patience_s + 60)
    print(next((line for line in out.splitlines() if line.startswith("#")), "#"))
    check("retained_many: ok" in out, out)


@with_limit(2 * TOPICS, 64)
def hundred_thousand_retained(box):
    many(box, TOPICS, 120)


@with_limit(MILLION, 512)
def million_retained(box):
    many(box, MILLION, 780)


@with_limit(LIMIT, 64)
def retained_beyond_the_limit(box):
    before = counters(box)
    out = beside("node", os.path.join(CLIENTS, "retained_limit.mjs"), box.address, str(LIMIT),
                 str(BEYOND), patience_s=90)
    print(next((line for line in out.splitlines() if line.startswith("#")), "#"))
    check("retained_limit: ok" in out, out)
    refused = counters(box) - before
    check(refused == BEYOND + 3, f"{refused} counted")
    kept = overview_counter(box.rest("/api/v1/monitor/counters"), "RETAINED")
    check(kept == LIMIT, f"{kept} kept")


def counters(box):
    return overview_counter(box.rest("/api/v1/monitor/counters"), "ERR_RETAINED_FULL")


COMPLETE = {"hundred_thousand_retained": hundred_thousand_retained}
if LONG:
    COMPLETE["million_retained"] = million_retained
# Of several workers each has the limit, for the topics that it owns.
BOUNDED = {"retained_beyond_the_limit": retained_beyond_the_limit}

if __name__ == "__main__":
    sys.exit(main(COMPLETE, [("tap", 1), ("tap", 2)]) + main(BOUNDED, [("tap", 1)]))
