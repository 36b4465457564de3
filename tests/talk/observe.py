#!/usr/bin/env python3
"""What an operator sees of TCP over REST: connections, page by page, and one of them."""
import json
import sys

from _box import Failed, beside, check, main, wait_until

CONNECTIONS = "/api/v1/monitor/connections"


def ask(box, path, status="200"):
    """The document; fails if the status is another."""
    out = beside("curl", "-sS", "--max-time", "20", "-w", "\n%{http_code}",
                 f"http://{box.facts['rest']}{path}")
    body, code = out.rsplit("\n", 1)
    check(code == status, f"{path}: {code}: {body}")
    return json.loads(body)


def walk(box, query):
    """All connections that match, over all pages."""
    found, cursor = [], ""
    while cursor is not None:
        page = ask(box, f"{CONNECTIONS}?{query}{cursor}")
        found += page["connections"]
        cursor = page["next"] and f"&cursor={page['next']}"
    return found


def find(box, client_id):
    found = [c for c in walk(box, "state=ESTABLISHED&limit=2") if c["client_id"] == client_id]
    check(len(found) == 1, f"{client_id}: {found}")
    return found[0]


def connections_are_listed(box):
    subs = [box.subscribe("-t", "seen", "-i", f"watched-{i}") for i in range(5)]
    try:
        mine = [find(box, f"watched-{i}") for i in range(5)]
        check(len({c["id"] for c in mine}) == 5, f"{mine}")
        for c in mine:
            check(c["local"] == {"address": box.address, "port": 1883}, f"{c}")
            check({"timestamps", "sack", "passive"} <= set(c["flags"]), f"{c}")
            check(c["rtt_us"] > 0 and c["cwnd"] > 0 and c["bytes_in"] > 0 < c["bytes_out"], f"{c}")
        port = mine[0]["peer"]["port"]
        check([c["id"] for c in walk(box, f"peer_port={port}")] == [mine[0]["id"]], "by port")
        check(walk(box, "peer=203.0.113.0/24") == [], "by prefix of nobody")
        peer = mine[0]["peer"]["address"]
        check(len(walk(box, f"peer={peer}&local_port=1883")) >= 5, "by address")
    finally:
        for sub in subs:
            sub.stop()


def gone(box, path):
    try:
        return ask(box, path, "404")["code"] == "NO_SUCH_CONNECTION"
    except Failed:
        return False


def one_connection_moves(box):
    with box.subscribe("-t", "moves", "-i", "mover") as sub:
        before = find(box, "mover")
        path = f"{CONNECTIONS}/{before['id']}"
        box.publish("-t", "moves", "-m", "x" * 1000)
        sub.wait_line("xxx")
        wait_until("the bytes are acknowledged",
                   lambda: ask(box, path)["bytes_out"] >= before["bytes_out"] + 1000)
    wait_until("its id is nobody's", lambda: gone(box, path))


def events_are_filed(box):
    """From the SYN to the end, also after the end."""
    with box.subscribe("-t", "told", "-i", "teller") as sub:
        path = f"{CONNECTIONS}/{find(box, 'teller')['id']}/events"
        box.publish("-t", "told", "-m", "y" * 700)
        sub.wait_line("yyy")
        events = ask(box, path)["events"]
        whats = [e["what"] for e in events]
        check(whats[0] == "OPENED" and "SEGMENT_OUT" in whats, f"{whats}")
        check(any(e["what"] == "SEGMENT_OUT" and e["argument"] >= 700 for e in events), f"{events}")
        check("state changed: ESTABLISHED" in [e["text"] for e in events], f"{events}")
        ages = [e["ago_us"] for e in events]
        check(ages == sorted(ages, reverse=True), f"{ages}")
    wait_until("its end is told",
               lambda: "FINISHED" in [e["what"] for e in ask(box, path)["events"]])


def mistakes_are_told(box):
    for path, status, code in (("?limit=65", "400", "BAD_PARAMETER"),
                               ("?states=x", "400", "BAD_PARAMETER"),
                               ("/0-0", "400", "BAD_CONNECTION_ID"),
                               ("/0-0-4000000000", "404", "NO_SUCH_CONNECTION"),
                               ("/7-0-0", "404", "NO_SUCH_CONNECTION")):
        problem = ask(box, CONNECTIONS + path, status)
        check(problem["code"] == code, f"{path}: {problem}")


CASES = {
    "connections_are_listed": connections_are_listed,
    "one_connection_moves": one_connection_moves,
    "events_are_filed": events_are_filed,
    "mistakes_are_told": mistakes_are_told,
}

if __name__ == "__main__":
    sys.exit(main(CASES, [("tap", 1), ("tap", 2)]))
