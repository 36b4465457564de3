#!/usr/bin/env python3
"""A control plane that is killed serves again soon, however much is stored.

20,000 stored sessions; with --long a million, and 64 MB of journal to replay. The figures are
printed; the bound that fails is generous.
"""
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

from _box import LONG, ROOT, Box, beside, check, main, wait_until

PYTHON = "/usr/bin/python3"
CLIENTS = os.path.join(ROOT, "tests", "talk", "clients")
SESSIONS = 1_000_000 if LONG else 20_000
JOURNAL_MIB = 64 if LONG else 4
BODY_BYTES = 60_000
PATIENCE_S = 10
CONFIG = """limits:
  sessions: {most}
  subscriptions: {most}
  filters: {most}
  filter_bytes: 64MiB
  queue_messages: 1000000
storage:
  wal: {wal}MiB
"""


def alone(case):
    """The case starts and stops boxes itself."""
    case.alone = True
    return case


def fill(data):
    store = os.path.join(data, "store")
    tool = os.path.join(os.environ["SIGNALBOX_TREE"], "tests", "bench", "fill_sessions")
    subprocess.run([tool, store, str(SESSIONS), str(JOURNAL_MIB)], check=True, timeout=300)
    for name in (data, store, *(os.path.join(store, f) for f in os.listdir(store))):
        shutil.chown(name, "nobody", "nogroup")


def journal_bytes(data):
    store = os.path.join(data, "store")
    logs = [f for f in os.listdir(store) if f.endswith(".log")]
    return sum(os.path.getsize(os.path.join(store, f)) for f in logs)


def fill_journal(box, data):
    """Messages for a session that sleeps, until the journal is as large as it gets."""
    lines = 4 * (1 << 20) // BODY_BYTES
    text = "".join(f"{i:06d}".ljust(BODY_BYTES - 1, "x") + "\n" for i in range(lines)).encode()
    for _ in range(3 * JOURNAL_MIB // 4):
        box.publish("-t", "many-7", "-q", "1", "-l", stdin=text)
        if journal_bytes(data) >= (JOURNAL_MIB - 4) << 20:
            break
    return journal_bytes(data)


def connack(box, name, before=lambda: None):
    """Seconds from `before` to the CONNACK of that session, which must be there."""
    command = [os.path.join(ROOT, "run"), "--exec", PYTHON, "-B",
               os.path.join(CLIENTS, "connack.py"), box.address, name]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as p:
        check(p.stdout.readline() == "ready\n", "no TCP connection")
        before()
        start = time.monotonic()
        p.stdin.write("\n")
        p.stdin.close()
        answer = re.fullmatch(r"connack ([0-9.]+) ([0-9a-f]*)\n", p.stdout.readline())
        check(p.wait(60) == 0 and answer, "no CONNACK")
        check(answer[2] == "20020100", f"{name}: CONNACK {answer[2]}")
        return float(answer[1]) - start


@alone
def controlplane_with_many_sessions(nic, *options):
    with tempfile.TemporaryDirectory(prefix="signalbox-restart-") as data, \
            tempfile.NamedTemporaryFile("w", suffix=".yaml") as config:
        os.chmod(data, 0o755)
        fill(data)
        config.write(CONFIG.format(most=SESSIONS * 5 // 4, wal=2 * JOURNAL_MIB))
        config.flush()
        started = time.monotonic()
        box = Box(nic, *options, "--data", data, "--config", config.name)
        try:
            loaded = time.monotonic() - started
            journal = fill_journal(box, data)
            victim = box.pids()["signalbox-controlplane"]
            killed_s = connack(
                box, f"many-{SESSIONS // 2}", lambda: os.kill(victim, signal.SIGKILL))
            wait_until("a new control plane", lambda: box.pids().get(
                "signalbox-controlplane", victim) != victim)
            again_s = connack(box, f"many-{SESSIONS // 3}")
            out = beside("mosquitto_sub", "-h", box.address, "-i", "many-7", "-c", "-q", "1",
                         "-t", "many-7", "-C", "1", "-F", "%l")
            check(out == str(BODY_BYTES - 1), out)
            print(f"# {SESSIONS} sessions, {journal >> 20} MiB of journal: box serves after "
                  f"{loaded:.1f} s; control plane killed to CONNACK {killed_s * 1000:.0f} ms, "
                  f"then {again_s * 1000:.1f} ms", flush=True)
            check(killed_s < PATIENCE_S, f"{killed_s:.1f} s")
        finally:
            box.stop()


if __name__ == "__main__":
    CASES = {"controlplane_with_many_sessions": controlplane_with_many_sessions}
    sys.exit(main(CASES, [("tap", 1)]))
