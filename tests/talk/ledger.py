#!/usr/bin/env python3
"""Nothing that was acknowledged is lost, whichever process is killed: a ledger over real kills.

Writers at QoS 1 and 2 and durable subscribers run on while a process gets SIGKILL again and again;
each victim is seen dead, and its successor alive. Lost and (QoS 2) duplicated must be 0. Three
cycles for each process, 20 with --long.
"""
import json
import os
import random
import signal
import sys
import tempfile

from _box import ROOT, Box, Process, check, main, wait_until

PYTHON = "/usr/bin/python3"
CLIENT = os.path.join(ROOT, "tests", "talk", "clients", "ledger.py")
LONG = os.environ.get("SIGNALBOX_LONG") == "1"
CYCLES = 20 if LONG else 3
STRIDE = 150  # acknowledged messages of one writer between two kills, at most
PATIENCE_S = 120


def alone(case):
    """The case starts and stops boxes itself."""
    case.alone = True
    return case


def kill(pid):
    os.kill(pid, signal.SIGKILL)
    wait_until("the victim's death", lambda: not alive(pid))


def alive(pid):
    """Runs: a zombie that nobody has buried yet does not."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as f:
            return f.read().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def verdict(line):
    """Fails unless every subscriber's account is in order."""
    told = json.loads(line.removeprefix("ledger "))
    print(f"# {line}")
    for name, a in told["readers"].items():
        for word in ("lost", "unexpected", "order", "duplicated"):
            check(a.get(word, 0) == 0, f"{name}: {word} {a.get(word)}: {line}")
        check(a["acknowledged"] == a["attempt"], f"{name}: not all was acknowledged: {line}")
    check(told["sessions_lost"] == 0, line)


def run_ledger(name, address, beside, strike, cycles=CYCLES):
    """Clients over so many strikes, at random places of their progress."""
    seed = int(os.environ.get("SIGNALBOX_SEED", random.randrange(1 << 32)))
    print(f"# SIGNALBOX_SEED={seed}")
    rng = random.Random(seed)
    count = STRIDE * (cycles + 1)
    run = f"ledger-{name}-{os.getpid()}"  # sessions of an earlier run may still be there
    with Process(PYTHON, "-B", CLIENT, address, run, str(count), beside=beside) as client:
        client.wait_line("started", PATIENCE_S)
        at = 0
        for _ in range(cycles):
            at += rng.randrange(STRIDE // 3, STRIDE)
            client.wait_line(f"acknowledged {at // 10 * 10}", PATIENCE_S)
            strike()
        line = client.wait_line("ledger ", 600)
        client.wait_exit()
        for told in client.lines:
            if told.startswith(("twice", "order", "gave up")):
                print(f"# {told[:400]}")
    verdict(line)


def one_process(process):
    def case(box):
        def strike():
            victim = box.pids()[process]
            kill(victim)
            wait_until("its successor", lambda: box.pids().get(process, victim) != victim,
                       PATIENCE_S)
        run_ledger(process, box.address, True, strike)
    return case


@alone
def all_processes_killed(nic, *options):
    """Through the proxy on 127.0.0.1: clients stay where they are, the network is made anew."""
    with tempfile.TemporaryDirectory(prefix="signalbox-ledger-") as data:
        os.chmod(data, 0o755)
        box = [Box(nic, *options, "--data", data)]

        def strike():
            with open("/run/signalbox/launcher.pid", encoding="ascii") as f:
                victims = [int(f.read()), *box[0].pids().values()]
            for pid in victims:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass  # died with its parent
            for pid in victims:
                wait_until("the victim's death", lambda p=pid: not alive(p))
            box[0] = Box(nic, *options, "--data", data)

        try:
            run_ledger("all", "127.0.0.1", False, strike)
        finally:
            box[0].stop()


CASES = {
    "controlplane_killed": one_process("signalbox-controlplane"),
    "dataplane_killed": one_process("signalbox-dataplane"),
    "mgmt_killed": one_process("signalbox-mgmt"),
    "all_processes_killed": all_processes_killed,
}

if __name__ == "__main__":
    sys.exit(main(CASES, [("tap", 1), ("tap", 2)]))
