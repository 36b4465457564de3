#!/usr/bin/env python3
"""Disks that take nothing more: read-only at the start, read-only or full while clients publish.

Nothing that was acknowledged is lost, and the box serves again by itself when the disk does. The
store lies on a file system of the test's own: a tmpfs, or an ext4 in a file, which the kernel turns
read-only when it is told of an error. And a disk that gives back something else than was written:
nothing of that is served, the control plane is not started for ever, and people are told.
"""
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

from _box import ROOT, Box, Process, beside, check, main, run, wait_until
from ledger import run_ledger

PYTHON = "/usr/bin/python3"
CONNACK = os.path.join(ROOT, "tests", "talk", "clients", "connack.py")
DISK_MIB = 64
FILL_BYTES = 1 << 20
PATIENCE_S = 60
CONFIG = "storage:\n  wal: 4MiB\n"


def alone(case):
    """The case starts and stops boxes itself."""
    case.alone = True
    return case


def sh(*command):
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, check=False)
    check(done.returncode == 0, f"{command}: {done.stdout}")
    return done.stdout.strip()


class Disk:
    """A data folder whose store lies on a file system of its own; the log does not."""

    def __init__(self, kind):
        self.kind = kind
        self.data = tempfile.mkdtemp(prefix="signalbox-disk-")
        self.store = os.path.join(self.data, "store")
        self.root = os.path.join(self.data, "mounted")
        self.config = os.path.join(self.data, "box.yaml")
        self.loop = None
        os.chmod(self.data, 0o755)
        os.mkdir(self.store)
        os.mkdir(self.root)
        with open(self.config, "w", encoding="ascii") as f:
            f.write(CONFIG)
        if kind == "ext4":
            image = os.path.join(self.data, "image")
            sh("truncate", "-s", f"{DISK_MIB}M", image)
            sh("mkfs.ext4", "-q", image)
            self.loop = sh("losetup", "-f", "--show", image)
        self.mount()
        inside = os.path.join(self.root, "store")
        os.makedirs(inside, 0o700, exist_ok=True)
        shutil.chown(inside, "nobody", "nogroup")
        sh("mount", "--bind", inside, self.store)

    def mount(self):
        if self.kind == "ext4":
            sh("mount", "-o", "errors=remount-ro", self.loop, self.root)
        else:
            sh("mount", "-t", "tmpfs", "-o", f"size={DISK_MIB}m,mode=755", "tmpfs", self.root)

    def options(self):
        return ("--data", self.data, "--config", self.config)

    def log(self):
        try:
            with open(os.path.join(self.data, "signalbox.log"), encoding="utf-8",
                      errors="replace") as f:
                return f.read()
        except FileNotFoundError:
            return ""

    def ends(self):
        """How the control plane has ended so far: its exit codes, or "signal"."""
        found = re.findall(r"signalbox-controlplane \(pid \d+\) (?:exited with code (\d+)|was)",
                           self.log())
        return [code or "signal" for code in found]

    def break_down(self):
        """An error that ext4 believes in: it is read-only from now on, open files and all."""
        name = os.path.basename(self.loop)
        with open(f"/sys/fs/ext4/{name}/trigger_fs_error", "w", encoding="ascii") as f:
            f.write("1")

    def repair(self):
        """What an operator does: unmounted, and mounted again."""
        self.unmount_store()
        sh("umount", self.root)
        self.mount()
        sh("mount", "--bind", os.path.join(self.root, "store"), self.store)

    def unmount_store(self):
        """One that tries to open it may be in the way for a moment."""
        wait_until("the store to be free", lambda: subprocess.run(
            ["umount", self.store], check=False, stderr=subprocess.DEVNULL).returncode == 0)

    def remove(self):
        for path in (self.store, self.root):
            subprocess.run(["umount", path], check=False, stderr=subprocess.DEVNULL)
        if self.loop:
            subprocess.run(["losetup", "-d", self.loop], check=False)
        shutil.rmtree(self.data, ignore_errors=True)


def with_disk(kind):
    def wrap(case):
        @alone
        def run_case(nic, *options):
            disk = Disk(kind)
            try:
                case(disk, nic, *options)
            finally:
                disk.remove()
        return run_case
    return wrap


@with_disk("tmpfs")
def disk_is_read_only_at_the_start(disk, nic, *options):
    sh("mount", "-o", "remount,ro,bind", disk.store)
    start = time.monotonic()
    code, out = run("--nic", nic, "--detach", *options, *disk.options(), patience_s=PATIENCE_S)
    check(code == 1, f"exit {code}: {out}")
    last = next(line for line in out.splitlines() if "cannot" in line or "may not" in line)
    check("Read-only file system" in out and "writable" in out, out)
    check(set(disk.ends()) == {"3"}, f"{disk.ends()}: {out}")
    print(f"# refused after {time.monotonic() - start:.1f} s: {last}")
    sh("mount", "-o", "remount,rw,bind", disk.store)
    box = Box(nic, *options, *disk.options())
    try:
        with box.subscribe("-t", "x", "-q", "1", "-C", "1") as sub:
            box.publish("-t", "x", "-q", "1", "-m", "served")
            sub.wait_line("served")
    finally:
        box.stop()


def fails_under(disk, box, name, fail, mend):
    """Clients at work; the disk fails, the control plane ends and cannot start, then it can."""
    def strike():
        before = box.pids()["signalbox-controlplane"]
        fail()
        wait_until("the control plane's end", lambda: len(disk.ends()) > 0, PATIENCE_S)
        wait_until("its being refused", lambda: "3" in disk.ends(), PATIENCE_S)
        # RocksDB as it is packaged fails an assertion when the disk does at a certain moment.
        check(disk.ends()[0] in ("4", "signal") and set(disk.ends()[1:]) <= {"3", "4"},
              str(disk.ends()))
        mend()
        wait_until("a control plane that stays", lambda: box.pids().get(
            "signalbox-controlplane", before) != before and "impair" in box.facts,
            PATIENCE_S)
        print(f"# the control plane ended with {disk.ends()}")

    run_ledger(name, box.address, True, strike, cycles=1)


@with_disk("ext4")
def disk_turns_read_only(disk, nic, *options):
    box = Box(nic, *options, *disk.options())
    try:
        fails_under(disk, box, "readonly", disk.break_down, disk.repair)
        check("Read-only file system" in disk.log(), disk.log()[-2000:])
    finally:
        box.stop()


def fill(path):
    """All that there is; a little comes free while RocksDB tidies up, so it goes on."""
    block = b"x" * FILL_BYTES
    with open(path, "ab", buffering=0) as f:
        while True:
            try:
                if f.write(block) < 4096:
                    return
            except OSError:
                return


def flood_of(disk, box):
    """A publisher of large messages; it ends when it is refused."""
    lines = os.path.join(disk.data, "flood")
    if not os.path.exists(lines):
        with open(lines, "w", encoding="ascii") as f:
            f.writelines(f"{i}".ljust(50000, "x") + "\n" for i in range(600))
    return Process("sh", "-c", f"mosquitto_pub -h {box.address} -q 1 -t flood -l <{lines}")


@with_disk("tmpfs")
def disk_is_full(disk, nic, *options):
    filler = os.path.join(disk.root, "filler")
    box = Box(nic, *options, *disk.options())

    def until_full():
        """What RocksDB has taken beforehand is used up by somebody's messages."""
        end = time.monotonic() + PATIENCE_S
        flood = flood_of(disk, box)
        try:
            while "3" not in disk.ends():
                fill(filler)  # what it gives back when it ends, too
                if flood.process.poll() is not None:
                    flood = flood_of(disk, box)
                check(time.monotonic() < end, "the disk does not become full")
        finally:
            flood.stop()

    try:
        with box.subscribe("-c", "-i", "flooded", "-q", "1", "-t", "flood", "-E"):
            pass
        fails_under(disk, box, "full", until_full, lambda: os.unlink(filler))
        check("no space for the store" in disk.log() or "No space left" in disk.log(),
              disk.log()[-2000:])
    finally:
        box.stop()


def tables(store):
    return [os.path.join(store, f) for f in os.listdir(store) if f.endswith(".sst")]


def flip(paths):
    """One bit of the first row of each table, which RocksDB reads when it is asked for it."""
    check(paths, "no tables")
    for path in paths:
        with open(path, "r+b") as f:
            f.seek(8)
            byte = f.read(1)[0]
            f.seek(8)
            f.write(bytes([byte ^ 1]))


def publish_to_a_sleeper(box):
    sleeper = ("-c", "-i", "sleeper", "-q", "1", "-t", "kept")
    with box.subscribe(*sleeper, "-E"):
        pass
    box.publish("-q", "1", "-t", "kept", "-m", "acknowledged")
    return sleeper


def connack_of(box, name):
    """Return code and flags, as the box answers one who is new."""
    with Process(PYTHON, "-B", CONNACK, box.address, name, stdin=b"\n") as p:
        return p.wait_line("connack").split()[2]


@with_disk("tmpfs")
def damaged_store_is_not_served(disk, nic, *options):
    box = Box(nic, *options, *disk.options())
    sleeper = publish_to_a_sleeper(box)
    box.stop()
    box = Box(nic, *options, *disk.options())  # makes tables of the journal
    try:
        with box.subscribe("-t", "live") as live:
            damaged = tables(disk.store)
            flip(damaged)
            os.kill(box.pids()["signalbox-controlplane"], signal.SIGKILL)
            wait_until("the third end", lambda: disk.ends() == ["signal", "5", "5", "5"])
            wait_until("its being told", lambda: "is damaged" in run("--status")[1])
            check("not started again" in disk.log(), disk.log()[-2000:])
            # What forwards goes on; who is new is refused: server unavailable.
            with Process("mosquitto_pub", "-h", box.address, "-t", "live", "-m", "x") as late:
                check(connack_of(box, "new") == "20020003", "somebody was let in")
                late.wait_exit()
            check(live.process.poll() is None, "the connection is gone")
        check(disk.ends() == ["signal", "5", "5", "5"], str(disk.ends()))
    finally:
        box.stop()
    start = time.monotonic()
    code, out = run("--nic", nic, "--detach", *options, *disk.options(), patience_s=PATIENCE_S)
    check(code == 1 and "damaged" in out and "restore a copy" in out, f"exit {code}: {out}")
    print(f"# refused after {time.monotonic() - start:.1f} s")
    flip(damaged)  # back again: it is still there
    box = Box(nic, *options, *disk.options())
    try:
        out = beside("mosquitto_sub", "-h", box.address, *sleeper, "-C", "1")
        check(out == "acknowledged", out)
    finally:
        box.stop()


CASES = {
    "disk_is_read_only_at_the_start": disk_is_read_only_at_the_start,
    "disk_turns_read_only": disk_turns_read_only,
    "disk_is_full": disk_is_full,
    "damaged_store_is_not_served": damaged_store_is_not_served,
}

if __name__ == "__main__":
    sys.exit(main(CASES, [("tap", 1)]))
