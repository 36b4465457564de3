#!/usr/bin/env python3
"""The box as a process: kills, options, what it leaves behind, and garbage on its wire."""
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time

from _box import ROOT, Box, Process, beside, check, data_folder, main, run, wait_until
from first_light import overview_counter

PYTHON = "/usr/bin/python3"
CLIENTS = os.path.join(ROOT, "tests", "talk", "clients")


def alone(case):
    """The case starts and stops boxes itself."""
    case.alone = True
    return case


def snapshot():
    """What a run could leave behind: links, namespaces, mounts, processes, addresses, files.

    Not the dead that process 1 has not buried yet.
    """
    out = subprocess.run("ip -o link | awk '{print $2}'; ip netns; cat /proc/mounts; "
                         "pgrep -a 'signalbox|socat' | grep -v '<defunct>$'; "
                         "ip -o addr | awk '{print $2,$4}'; "
                         "ip route; ls /run /dev/shm; ls -d /tmp/tmp.* /tmp/*signalbox*",
                         shell=True, check=False,
                         stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    return set(out.stdout.decode().splitlines())


def check_clean(before):
    left = snapshot() - before
    check(not left, f"left behind: {sorted(left)}")


@alone
def leaves_nothing_behind(nic):
    before = snapshot()
    box = Box(nic)
    with box.subscribe("-t", "x", "-C", "1") as sub:
        box.publish("-t", "x", "-m", "y")
        sub.wait_exit()
    box.stop()
    check_clean(before)


@alone
def ctrl_c_leaves_nothing_behind(nic):
    before = snapshot()
    command = [os.path.join(ROOT, "run"), "--nic", nic, "--data", data_folder()]
    with Process(*command, beside=False) as p:
        p.wait_line("mosquitto_pub", patience_s=300)
        os.killpg(p.process.pid, signal.SIGINT)
        p.wait_exit()
    check_clean(before)


@alone
def cleans_up_after_a_crash(nic):
    before = snapshot()
    box = Box(nic)
    with open("/run/signalbox/launcher.pid", encoding="ascii") as f:
        launcher = int(f.read())
    pids = box.pids()
    for pid in [launcher, *pids.values()]:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass  # died with its parent
    box = Box(nic)
    with box.subscribe("-t", "x", "-C", "1") as sub:
        box.publish("-t", "x", "-m", "y")
        sub.wait_exit()
    box.stop()
    check_clean(before)


def second_run_says_so(box):
    code, out = run("--nic", box.nic)
    check(code == 1 and "running" in out, f"exit {code}: {out}")


def status_names_the_facts(box):
    box.refresh()
    for name in ("address", "mqtt", "rest", "pids", "workers", "nic", "data"):
        check(name in box.facts, f"no {name} in {box.facts}")
    check(box.facts["mqtt"].endswith(":1883") and box.facts["rest"].endswith(":8080"),
          str(box.facts))
    check(box.address.startswith("198.1"), box.address)
    check(set(box.pids()) == {"signalbox-dataplane", "signalbox-controlplane", "signalbox-mgmt"},
          str(box.pids()))


def bad_options_stop_the_start(box):
    del box
    for args, word in ((["--nic", "warp"], "warp"), (["--impair", "loss=lots"], "lots"),
                       (["--frobnicate"], "frobnicate"), (["--config", "/nonexistent"],
                                                          "/nonexistent")):
        code, out = run(*args)
        check(code not in (0, 1) and word in out, f"{args}: exit {code}: {out}")


@alone
def bad_config_stops_the_start(nic):
    before = snapshot()
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as f:
        f.write("limits:\n  conections: 10\n")
        f.flush()
        code, out = run("--nic", nic, "--config", f.name, "--detach", patience_s=300)
    check(code != 0 and "conections" in out and "connections" in out and ":2:" in out,
          f"exit {code}: {out}")
    check_clean(before)


def rest_tells_the_truth(box):
    before = overview_counter(box.rest("/api/v1/monitor/counters"), "PUBLISHES")
    box.publish("-t", "count/me", "-m", "1")
    wait_until("the counter to move", lambda: overview_counter(
        box.rest("/api/v1/monitor/counters"), "PUBLISHES") == before + 1)
    beside("curl", "-fsS", f"http://{box.facts['rest']}/healthz")
    page = beside("curl", "-fsS", f"http://{box.facts['rest']}/")
    check("<html" in page, page[:80])
    first_event(box)
    overview = box.rest("/api/v1/monitor/overview")
    check(isinstance(overview, dict) and overview, "no overview")


def first_event(box):
    with Process("curl", "-sSN", f"http://{box.facts['rest']}/api/v1/monitor/events") as p:
        return p.wait_line("data:")


def localhost_reaches_the_box(box):
    """The second block of lines: through the kernel proxy, on 127.0.0.1 and ::1 only."""
    check("localhost" in box.output, box.output)
    for family, host in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
        with socket.socket(family, socket.SOCK_STREAM) as s:
            s.settimeout(20)
            s.connect((host, 1883))
            s.sendall(bytes.fromhex("101000044d5154540402003c0004") + b"prox")
            answer = s.recv(4)
            check(answer == bytes.fromhex("20020000"), f"{host}: {answer.hex()}")
    listening = subprocess.run(["ss", "-Hltn", "sport", "=", ":1883"], check=True,
                               stdout=subprocess.PIPE).stdout.decode()
    check("0.0.0.0:1883" not in listening and "*:1883" not in listening, listening)


def stream(box, topic, count):
    """A publisher that sends one numbered line every few milliseconds, and a subscriber."""
    script = (f"import sys,threading\ng=threading.Event()\n"
              f"for i in range({count}):\n print(i,flush=True)\n g.wait(0.005)\n")
    sub = box.subscribe("-t", topic)
    pub = Process("sh", "-c", f"{PYTHON} -c '{script}' | mosquitto_pub -h {box.address} "
                              f"-t {topic} -l")
    return sub, pub


def controlplane_killed_under_load(box):
    sub, pub = stream(box, "load/cp", 1000)
    with sub, pub:
        sub.wait_line("100")
        victim = box.pids()["signalbox-controlplane"]
        os.kill(victim, signal.SIGKILL)
        wait_until("the victim's death", lambda: not os.path.exists(f"/proc/{victim}"))
        sub.wait_line("999")
        heard = [int(line) for line in sub.lines if line.isdigit()]
        check(heard == list(range(1000)), f"a gap: {len(heard)} of 1000")
    wait_until("a new control plane", lambda: box.pids().get(
        "signalbox-controlplane", victim) != victim)
    with box.subscribe("-t", "after/cp", "-C", "1") as again:
        box.publish("-t", "after/cp", "-m", "served")
        again.wait_line("served")


def dataplane_killed_under_load(box):
    with box.subscribe("-t", "load/dp", "-k", "5", "-i", "phoenix") as sub:
        victim = box.pids()["signalbox-dataplane"]
        os.kill(victim, signal.SIGKILL)
        wait_until("the victim's death", lambda: not os.path.exists(f"/proc/{victim}"))
        wait_until("a new dataplane", lambda: box.pids().get(
            "signalbox-dataplane", victim) != victim)
        # The old client notices at its next ping, reconnects by itself and subscribes again.
        sub.wait_line("Subscribed", patience_s=90)
        box.publish("-t", "load/dp", "-m", "back again")
        sub.wait_line("back again")
    with box.subscribe("-t", "after/dp", "-C", "1") as fresh:
        box.publish("-t", "after/dp", "-m", "served")
        fresh.wait_line("served")


def idle_client_hears_of_a_crash(box):
    """No keepalive anywhere: the new dataplane resets who believes in the old one's connections."""
    with Process(PYTHON, "-B", os.path.join(CLIENTS, "idle.py"), box.address) as idle:
        idle.wait_line("connack 20020000")
        victim = box.pids()["signalbox-dataplane"]
        os.kill(victim, signal.SIGKILL)
        killed = time.monotonic()
        line = idle.wait_line("reset", patience_s=30)
        print(f"# heard of it {float(line.split()[1]) - killed:.2f} s after the kill", flush=True)
    probed = overview_counter(box.rest("/api/v1/monitor/counters"), "TCP_ORPHANS_PROBED")
    check(probed > 0, "nobody was asked")


def management_killed_nobody_notices(box):
    with box.subscribe("-t", "load/mgmt", "-C", "1") as sub:
        victim = box.pids()["signalbox-mgmt"]
        os.kill(victim, signal.SIGKILL)
        box.publish("-t", "load/mgmt", "-m", "still here")
        sub.wait_line("still here")
    wait_until("a new management", lambda: box.pids().get("signalbox-mgmt", victim) != victim)
    wait_until("its port", lambda: subprocess.run(
        [os.path.join(ROOT, "run"), "--exec", "curl", "-fsS", "-o", "/dev/null",
         f"http://{box.facts['rest']}/healthz"], check=False,
        stderr=subprocess.DEVNULL).returncode == 0)


def impaired_link_loses_nothing(box):
    code, out = run("--impair", "loss=5%,delay=2ms,reorder=1%,duplicate=1%,seed=7")
    check(code == 0, out)
    try:
        count = 2000
        text = "".join(f"line-{i}\n" for i in range(count)).encode()
        with box.subscribe("-t", "bad", "-C", str(count)) as sub:
            box.publish("-t", "bad", "-l", stdin=text)
            sub.wait_exit(patience_s=120)
            heard = [line for line in sub.lines if line.startswith("line-")]
            check(heard == [f"line-{i}" for i in range(count)], f"{len(heard)} of {count}")
        dropped = overview_counter(box.rest("/api/v1/monitor/counters"), "ERR_IMPAIR_DROPPED")
        check(dropped > 0, "nothing was dropped: the impairment did not act")
    finally:
        run("--impair", "off")


def garbage_does_no_harm(box):
    """Random streams on the MQTT port and random frames on the wire; a neighbour is served."""
    seed = int(os.environ.get("SIGNALBOX_SEED", random.randrange(1 << 32)))
    print(f"# SIGNALBOX_SEED={seed}")
    pids = box.pids()
    with box.subscribe("-t", "steady", "-C", "1") as sub:
        out = beside(PYTHON, os.path.join(ROOT, "tests", "talk", "clients", "garbage.py"),
                     box.address, str(seed), patience_s=120)
        check("garbage: ok" in out, out)
        box.publish("-t", "steady", "-m", "unharmed")
        sub.wait_line("unharmed")
    check(box.pids() == pids, "a process died of garbage")


CASES = {f.__name__: f for f in (
    leaves_nothing_behind, second_run_says_so, status_names_the_facts, bad_options_stop_the_start,
    rest_tells_the_truth, localhost_reaches_the_box, impaired_link_loses_nothing,
    garbage_does_no_harm, controlplane_killed_under_load, dataplane_killed_under_load,
    idle_client_hears_of_a_crash,
    management_killed_nobody_notices, ctrl_c_leaves_nothing_behind, cleans_up_after_a_crash,
    bad_config_stops_the_start)}

if __name__ == "__main__":
    sys.exit(main(CASES))
