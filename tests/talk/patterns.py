#!/usr/bin/env python3
"""Filters behind $filter/: real clients, Hyperscan in the background, the control plane killed."""
import os
import signal
import sys

from _box import beside, check, main, wait_until

MANY = 200


def amqp(words):
    return "$filter/amqp/" + words.replace("#", "%23").replace("+", "%2B")


def regex(expression):
    return "$filter/regex/" + expression.replace("+", "%2B")


def counters(box):
    """Names to values, of the worker that has most; the control plane's beside them."""
    found = {}

    def walk(tree):
        if isinstance(tree, dict):
            if isinstance(tree.get("name"), str) and isinstance(tree.get("value"), (int, float)):
                found[tree["name"]] = max(found.get(tree["name"], 0), tree["value"])
            for name, value in tree.items():
                if isinstance(value, (int, float)) and not isinstance(value, bool):
                    found[name] = max(found.get(name, 0), value)
                walk(value)
        elif isinstance(tree, list):
            for one in tree:
                walk(one)

    walk(box.rest("/api/v1/monitor/counters"))
    return found


def wait_compiled(box, count):
    def compiled():
        c = counters(box)
        return c["PATTERNS"] >= count and c["PATTERNS_COMPILED"] == c["PATTERNS"]
    wait_until(f"{count} compiled patterns", compiled, 120)


def compilers():
    """Pids of the processes that compile."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as line:
                if line.read().startswith(b"signalbox-compiler"):
                    found.append(int(pid))
        except OSError:
            pass  # it has just ended
    return found


def amqp_and_regular_expressions(box):
    with box.subscribe("-v", "-t", amqp("a.#.z"), "-t", regex("^s[0-9]+/(on|off)$"),
                       "-t", amqp("b.*"), "-t", "end") as sub:
        for topic in ("a/z", "a/b/c/z", "a/zz", "s12/on", "s/on", "s12/off/x", "b/q", "b/q/r",
                      "end"):
            box.publish("-t", topic, "-m", "m")
        sub.wait_line("end m")
        heard = [line.split()[0] for line in sub.lines if line.endswith(" m")]
        check(heard == ["a/z", "a/b/c/z", "s12/on", "b/q", "end"], f"heard {heard}")


def bad_ones_are_refused_alone(box):
    with box.subscribe("-V", "5", "-v", "-q", "1", "-t", regex("("), "-t", regex("(a{999}){999}"),
                       "-t", amqp("a.+"), "-t", "$filter/xpath/x", "-t", "good",
                       "-t", regex("(a|b)[ab]{200}(c|d)[cd]{200}.{300}x"),
                       "-t", regex("(a|b|c){90}")) as sub:
        granted = next(line for line in sub.lines if line.startswith("Subscribed"))
        # The last but one is too large for Hyperscan alone, which is asked first.
        check(granted.endswith("143, 143, 143, 143, 1, 143, 1"), granted)
        box.publish("-t", "good", "-m", "m")
        sub.wait_line("good m")


def retained_values_are_told(box):
    for topic in ("kept/a/z", "kept/z", "kept/y"):
        box.publish("-r", "-t", topic, "-m", "old")
    with box.subscribe("-v", "-C", "2", "-t", amqp("kept.#.z")) as sub:
        sub.wait_exit()
        heard = sorted(line.split()[0] for line in sub.lines if line.endswith(" old"))
        check(heard == ["kept/a/z", "kept/z"], f"heard {heard}")


def durable_sessions_have_them(box):
    who = ("-i", "patterns-durable", "-c", "-q", "1", "-t", regex("^durable/[0-9]$"))
    box.subscribe(*who).stop()
    box.publish("-q", "1", "-t", "durable/7", "-m", "waits")
    box.publish("-q", "1", "-t", "durable/x", "-m", "lost")
    heard = beside("mosquitto_sub", "-h", box.address, "-v", "-C", "1", *who)
    check("durable/7 waits" in heard, heard)


def many(box, kind):
    filters = []
    for i in range(MANY):
        filters += ["-t", amqp(f"{kind}{i}.#.x") if i % 2 else regex(f"^{kind}{i}/[a-z]+/x$")]
    return box.subscribe("-v", *filters)


def hyperscan_takes_over(box):
    with many(box, "m") as sub:
        wait_compiled(box, MANY)
        before = counters(box)
        for i in range(0, MANY, 10):
            box.publish("-t", f"m{i}/abc/x", "-m", "hit")
            sub.wait_line(f"m{i}/abc/x hit")
        after = counters(box)
        check(after["MATCH_SCANS"] >= before["MATCH_SCANS"] + MANY / 10, "nothing was scanned")
        check(after["MATCH_INTERPRETED"] == before["MATCH_INTERPRETED"],
              "the interpreter is still at work")


def control_plane_killed_in_mid_compile(box):
    with many(box, "k") as sub:
        wait_until("a compiler", compilers, 30)
        at_work = compilers()
        os.kill(box.pids()["signalbox-controlplane"], signal.SIGKILL)
        wait_until("the end of its compiler", lambda: not set(compilers()) & set(at_work))
        box.publish("-t", "k7/a/x", "-m", "meanwhile")
        sub.wait_line("k7/a/x meanwhile")
        wait_compiled(box, MANY)
        box.publish("-t", "k8/a/x", "-m", "after")
        sub.wait_line("k8/a/x after")


CASES = {f.__name__: f for f in (
    amqp_and_regular_expressions, bad_ones_are_refused_alone, retained_values_are_told,
    durable_sessions_have_them, hyperscan_takes_over, control_plane_killed_in_mid_compile)}

if __name__ == "__main__":
    sys.exit(main(CASES, variants=(("tap", 1), ("tap", 2))))
