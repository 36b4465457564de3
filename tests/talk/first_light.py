#!/usr/bin/env python3
"""Unmodified clients exchange messages through the box at QoS 0, over each software NIC."""
import hashlib
import os
import sys
import tempfile

from _box import EVERYWHERE, LONG, ROOT, Process, beside, check, main

PYTHON = "/usr/bin/python3"
TALK = os.path.join(ROOT, "tests", "talk")


def mosquitto_pub_sub(box):
    with box.subscribe("-t", "hello", "-C", "1") as sub:
        box.publish("-t", "hello", "-m", "world")
        sub.wait_line("world")
        sub.wait_exit()


def mosquitto_v5_properties(box):
    with box.subscribe("-V", "5", "-t", "p/+", "-C", "1", "-F", "%t|%C|%R|%D|%P|%p") as sub:
        box.publish("-V", "5", "-t", "p/x", "-m", "body",
                    "-D", "publish", "content-type", "text/plain",
                    "-D", "publish", "response-topic", "answer/here",
                    "-D", "publish", "correlation-data", "c0ffee",
                    "-D", "publish", "user-property", "k1", "v1",
                    "-D", "publish", "user-property", "k2", "v2")
        line = sub.wait_line("p/x|")
        check(line == "p/x|text/plain|answer/here|c0ffee|k1:v1 k2:v2|body", f"got {line!r}")


def versions_meet(box):
    """3.1, 3.1.1 and 5.0 clients hear each other."""
    subs = [box.subscribe("-V", v, "-t", "meet/#", "-C", "3")
            for v in ("mqttv31", "mqttv311", "mqttv5")]
    try:
        for v in ("mqttv31", "mqttv311", "mqttv5"):
            box.publish("-V", v, "-t", f"meet/{v}", "-m", f"from-{v}")
        for sub in subs:
            lines, code = sub.wait_exit()
            heard = [line for line in sub.lines if line.startswith("from-")]
            check(code == 0 and heard == ["from-mqttv31", "from-mqttv311", "from-mqttv5"],
                  f"heard {heard} of {lines[-3:]}")
    finally:
        for sub in subs:
            sub.stop()


def filters(box):
    with box.subscribe("-v", "-t", "a/+/c", "-t", "b/#", "-t", "end") as sub:
        for topic in ("a/x/c", "a/c", "b", "b/1/2", "a/x/d", "$SYS/none", "end"):
            box.publish("-t", topic, "-m", "m")
        sub.wait_line("end m")
        heard = [line.split()[0] for line in sub.lines if line.endswith(" m")]
        check(heard == ["a/x/c", "b", "b/1/2", "end"], f"heard {heard}")


def many_lines_in_order(box):
    count = 20000
    text = "".join(f"line-{i}\n" for i in range(count)).encode()
    with box.subscribe("-t", "lines", "-C", str(count)) as sub:
        box.publish("-t", "lines", "-l", stdin=text)
        sub.wait_exit()
        heard = [line for line in sub.lines if line.startswith("line-")]
        check(heard == [f"line-{i}" for i in range(count)],
              f"{len(heard)} lines, or out of order")


def ten_megabytes_in_one(box):
    body = hashlib.shake_256(b"signalbox").digest(10 << 20)
    with tempfile.TemporaryDirectory() as d:
        sent, got = os.path.join(d, "sent"), os.path.join(d, "got")
        with open(sent, "wb") as f:
            f.write(body)
        # The subscriber's own output is the payload: its readiness shows in a second client.
        with Process("sh", "-c", f"exec mosquitto_sub -h {box.address} -i big-sub -t big -C 1 -N "
                     f"-W 60 > {got}") as sub:
            wait_for_session(box, "big-sub")
            box.publish("-t", "big", "-f", sent)
            _, code = sub.wait_exit()
            check(code == 0, f"mosquitto_sub exited {code}")
        with open(got, "rb") as f:
            check(f.read() == body, "the payload differs")


def wait_for_session(box, client_id):
    from _box import wait_until
    def subscribed():
        overview = box.rest("/api/v1/monitor/counters")
        return overview_counter(overview, "SUBSCRIPTIONS") > 0
    del client_id
    wait_until("a subscription", subscribed)


def overview_counter(tree, name):
    """A counter by name, wherever the document keeps it."""
    if isinstance(tree, dict):
        if name in tree and isinstance(tree[name], (int, float)):
            return tree[name]
        if tree.get("name") == name:
            return tree.get("value", 0)
        tree = list(tree.values())
    if isinstance(tree, list):
        return max((overview_counter(x, name) for x in tree), default=0)
    return 0


def paho(box):
    out = beside(PYTHON, os.path.join(TALK, "clients", "paho_talk.py"), box.address)
    check("paho: ok" in out, out)


def mqttjs(box):
    out = beside("node", os.path.join(TALK, "clients", "mqttjs_talk.mjs"), box.address)
    check("mqttjs: ok" in out, out)


def two_hundred_clients(box):
    out = beside("node", os.path.join(TALK, "clients", "crowd.mjs"), box.address, "200",
                 patience_s=120)
    check("crowd: ok" in out, out)


CASES = {f.__name__: f for f in (
    mosquitto_pub_sub, mosquitto_v5_properties, versions_meet, filters, many_lines_in_order,
    ten_megabytes_in_one, paho, mqttjs, two_hundred_clients)}

if __name__ == "__main__":
    # nics.py has a few of these on the others.
    sys.exit(main(CASES, EVERYWHERE if LONG else [("tap", 1), ("af_packet", 1)]))
