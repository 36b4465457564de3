#!/usr/bin/env python3
"""A hundred thousand retained topics, complete and in order, while publishes go on."""
import os
import sys
import tempfile

from _box import ROOT, beside, check, main

CLIENT = os.path.join(ROOT, "tests", "talk", "clients", "retained_many.mjs")
TOPICS = 100000


def hundred_thousand_retained(box):
    out = beside("node", CLIENT, box.address, str(TOPICS), patience_s=180)
    print(next((line for line in out.splitlines() if line.startswith("#")), "#"))
    check("retained_many: ok" in out, out)


if __name__ == "__main__":
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as config:
        config.write(f"limits:\n  retained: {2 * TOPICS}\n")
        config.flush()
        code = main({"hundred_thousand_retained": hundred_thousand_retained},
                    [("tap", 1), ("tap", 2)], ("--config", config.name))
    sys.exit(code)
