#!/usr/bin/env python3
"""A few conversations over the NICs that first_light and survive leave out, unless --long."""
import os
import sys

import first_light
import survive
from _box import EVERYWHERE, LONG, beside, check, main


def forty_clients(box):
    out = beside("node", os.path.join(first_light.TALK, "clients", "crowd.mjs"), box.address, "40")
    check("crowd: ok" in out, out)


CASES = {f.__name__: f for f in (
    first_light.mosquitto_pub_sub, first_light.many_lines_in_order, forty_clients)}
CASES.update({name: survive.CASES[name] for name in (
    "mosquitto_persistent_session", "paho_qos_pairs")})

if __name__ == "__main__":
    sys.exit(main(CASES, [] if LONG else EVERYWHERE[4:]))
