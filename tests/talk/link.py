#!/usr/bin/env python3
"""The NIC under load: its link flaps, it is opened again, it vanishes; no connection is lost."""
import os
import signal
import subprocess
import sys

from _box import EVERYWHERE, LONG, Process, beside, check, main, run, wait_until
from first_light import overview_counter

PYTHON = "/usr/bin/python3"
LINES = 500
FLAPS = 2


class Load:
    """A publisher at QoS 1 and a subscriber, on connections that must last; lines are numbered."""

    def __init__(self, box, topic):
        self.box, self.topic = box, topic
        # The first connection is all that they may have: a second one would say "connected" again.
        self.sub = box.subscribe("-q", "1", "-t", topic, "-i", f"{topic}-sub", "-k", "60")
        script = (f"import threading\ng=threading.Event()\n"
                  f"for i in range({LINES}):\n print(f'line-{{i}}',flush=True)\n g.wait(0.004)\n")
        self.pub = Process("sh", "-c", f"{PYTHON} -c \"{script}\" | mosquitto_pub -d -h "
                                       f"{box.address} -t {topic} -q 1 -l -k 60 -i {topic}-pub")

    def __enter__(self):
        self.sub.wait_line("line-100")
        return self

    def __exit__(self, *_):
        self.sub.stop()
        self.pub.stop()

    def all_came(self):
        self.sub.wait_line(f"line-{LINES - 1}", patience_s=90)
        lines, code = self.pub.wait_exit()
        check(code == 0, f"mosquitto_pub exited {code}: {lines[-3:]}")
        heard = [line for line in self.sub.lines if line.startswith("line-")]
        check(heard == [f"line-{i}" for i in range(LINES)], f"{len(heard)} of {LINES} in order")
        for process in (self.sub, self.pub):
            connects = sum("sending CONNECT" in line for line in process.lines)
            check(connects == 1, f"{process.args}: {connects} connections")


def counter(box, name):
    return overview_counter(box.rest("/api/v1/monitor/counters"), name)


def bridge_worker(box):
    box.refresh()
    found = subprocess.run(["pgrep", "-P", box.facts["bridge"]], check=False,
                           stdout=subprocess.PIPE).stdout.split()
    return int(found[0]) if found else None


def link_goes(box, up):
    """At the kernel's end; of a memif, that end dies and is started again by itself."""
    if box.nic != "memif":
        subprocess.run(["ip", "-n", "signalbox", "link", "set", "sbx0", "up" if up else "down"],
                       check=True, stdin=subprocess.DEVNULL)
    elif not up:
        os.kill(bridge_worker(box), signal.SIGKILL)


def link_flaps_under_load(box):
    dataplane = box.pids()["signalbox-dataplane"]
    changes = counter(box, "NIC_LINK_CHANGES")
    with Load(box, "flap") as load:
        for _ in range(FLAPS):
            for up in (False, True):
                link_goes(box, up)
                changes += 1
                wait_until("the link to change",
                           lambda: counter(box, "NIC_LINK_CHANGES") >= changes)
            load.sub.wait_line("line-")
        load.all_came()
    check(box.pids()["signalbox-dataplane"] == dataplane, "the dataplane was restarted")


def nic_is_reset_under_load(box):
    dataplane = box.pids()["signalbox-dataplane"]
    before = counter(box, "NIC_RESETS")
    with Load(box, "reset") as load:
        for i in range(1, FLAPS + 1):
            code, out = run("--reset-nic")
            check(code == 0, out)
            wait_until("the NIC to be opened again",
                       lambda: counter(box, "NIC_RESETS") == before + i)
            load.sub.wait_line("line-")
        load.all_came()
    check(box.pids()["signalbox-dataplane"] == dataplane, "the dataplane was restarted")


def make_nic(box):
    """The kernel's device as ./run makes it."""
    queues = f"numtxqueues {box.facts['workers']} numrxqueues {box.facts['workers']}"
    veth = f"""ip link add sbx0 {queues} type veth peer name sbx-nic {queues} netns signalbox-nic
        nsenter --net=/run/netns/signalbox-nic ethtool -K sbx-nic tx off tso off gso off gro off
        ip -n signalbox-nic link set sbx-nic up"""
    tap = "ip tuntap add dev sbx0 mode tap multi_queue"
    beside("sh", "-ec", f"""{tap if box.nic == 'tap' else veth}
        ethtool -K sbx0 tx off tso off gso off gro off
        ip addr add {box.facts['rest'].split(':')[0]}/30 dev sbx0
        ip link set sbx0 up""")


def nic_vanishes_under_load(box):
    dataplane = box.pids()["signalbox-dataplane"]
    before = counter(box, "NIC_RESETS")
    with Load(box, "vanish") as load:
        beside("ip", "link", "del", "sbx0")
        make_nic(box)
        # REST has its address on that device.
        wait_until("the NIC to be opened again", lambda: counter(box, "NIC_RESETS") == before + 1)
        load.all_came()
    check(box.pids()["signalbox-dataplane"] == dataplane, "the dataplane was restarted")


nic_vanishes_under_load.nics = ("tap", "af_packet", "af_xdp")
CASES = {f.__name__: f for f in (
    link_flaps_under_load, nic_is_reset_under_load, nic_vanishes_under_load)}

if __name__ == "__main__":
    sys.exit(main(CASES, EVERYWHERE if LONG else
                  [("tap", 1), ("af_xdp", 2), ("memif", 2)]))
