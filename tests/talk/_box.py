"""A running box for conversations: ./run around it, and processes beside it.

Everything waits for events (a line of output, an exit), with generous bounds;
nothing sleeps. What a test starts it ends, by its pid. Standard library only.
"""
import atexit
import json
import os
import queue
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
RUN = os.path.join(ROOT, "run")
PATIENCE_S = 60
LONG = os.environ.get("SIGNALBOX_LONG") == "1"
# Every NIC with one worker and with two.
EVERYWHERE = [(nic, workers) for nic in ("tap", "af_packet", "af_xdp", "memif")
              for workers in (1, 2)]


class Failed(Exception):
    """A case did not see what it had to see."""


def check(condition, why):
    if not condition:
        raise Failed(why)


class Process:
    """A process beside the box (inside its namespace), its output as lines."""

    def __init__(self, *args, stdin=None, beside=True):
        command = ([RUN, "--exec"] if beside else []) + [str(a) for a in args]
        self.args = args
        self.lines = []
        self._queue = queue.Queue()
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE if stdin is not None else subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True)
        threading.Thread(target=self._read, daemon=True).start()
        if stdin is not None:
            self.process.stdin.write(stdin)
            self.process.stdin.close()

    def _read(self):
        for line in self.process.stdout:
            self._queue.put(line.decode("utf-8", "replace").rstrip("\n"))
        self._queue.put(None)

    def wait_line(self, wanted, patience_s=PATIENCE_S):
        """The next line that contains `wanted`."""
        end = time.monotonic() + patience_s
        while True:
            try:
                line = self._queue.get(timeout=max(0.0, end - time.monotonic()))
            except queue.Empty:
                raise Failed(f"no '{wanted}' from {self.args} in {patience_s} s; "
                             f"got {self.lines[-5:]}") from None
            if line is None:
                raise Failed(f"{self.args} ended before '{wanted}'; got {self.lines[-5:]}")
            self.lines.append(line)
            if wanted in line:
                return line

    def wait_exit(self, patience_s=PATIENCE_S):
        """All output and the exit code."""
        end = time.monotonic() + patience_s
        while True:
            try:
                line = self._queue.get(timeout=max(0.0, end - time.monotonic()))
            except queue.Empty:
                self.stop()
                raise Failed(f"{self.args} did not end in {patience_s} s; "
                             f"got {self.lines[-5:]}") from None
            if line is None:
                return self.lines, self.process.wait()
            self.lines.append(line)

    def stop(self):
        if self.process.poll() is None:
            try:
                os.killpg(self.process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        self.process.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


def beside(*args, stdin=None, patience_s=PATIENCE_S):
    """Runs a command beside the box to its end; its output as text. Fails if it fails."""
    with Process(*args, stdin=stdin) as p:
        lines, code = p.wait_exit(patience_s)
        check(code == 0, f"{args} exited {code}: {lines[-10:]}")
        return "\n".join(lines)


def run(*args, patience_s=PATIENCE_S):
    """./run with options: exit code and output."""
    done = subprocess.run([RUN, *args], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, timeout=patience_s, check=False)
    return done.returncode, done.stdout.decode("utf-8", "replace")


def data_folder():
    """Of this script's boxes: what an earlier one kept is not there, and nothing stays."""
    folder = os.path.join(tempfile.gettempdir(), f"sb-talk-{os.getpid()}")
    if not os.path.isdir(folder):
        os.mkdir(folder, 0o755)
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


class Box:
    """./run --detach on a NIC; facts by name."""

    def __init__(self, nic, *options):
        self.nic = nic
        if "--data" not in options:
            options = (*options, "--data", data_folder())
        code, out = run("--nic", nic, "--detach", *options, patience_s=300)
        if code != 0:
            run("--stop")
            raise Failed(f"./run --nic {nic} exited {code}:\n{out}")
        self.output = out
        self.refresh()

    def refresh(self):
        code, out = run("--status")
        check(code == 0, f"./run --status exited {code}: {out}")
        self.facts = dict(line.split(": ", 1) for line in out.splitlines() if ": " in line)
        self.address = self.facts["address"]
        self.facts["rest"] = self.facts["rest"].removeprefix("http://")

    def pids(self):
        """Process name to pid, the launcher's not among them."""
        self.refresh()
        found = {}
        for pid in self.facts["pids"].replace(",", " ").split():
            pid = pid.split("=")[-1]
            try:
                with open(f"/proc/{pid}/cmdline", "rb") as f:
                    found[os.path.basename(f.read().split(b"\0")[0].decode())] = int(pid)
            except FileNotFoundError:
                pass  # it has just died
        return found

    def rest(self, path):
        out = beside("curl", "-sS", "--max-time", "20", f"http://{self.facts['rest']}{path}")
        return json.loads(out)

    def stop(self):
        code, out = run("--stop")
        check(code == 0, f"./run --stop exited {code}: {out}")

    def subscribe(self, *args):
        """A mosquitto_sub whose subscription is in force."""
        p = Process("stdbuf", "-oL", "mosquitto_sub", "-d", "-h", self.address, *args)
        try:
            p.wait_line("Subscribed")
        except Failed:
            p.stop()
            raise
        return p

    def publish(self, *args, stdin=None):
        return beside("mosquitto_pub", "-h", self.address, *args, stdin=stdin)


def wait_until(what, condition, patience_s=PATIENCE_S):
    """Polls a fact that nobody announces (a process table, a link) without busy waiting."""
    end = time.monotonic() + patience_s
    gate = threading.Event()
    while not condition():
        check(time.monotonic() < end, f"{what}: not in {patience_s} s")
        gate.wait(0.02)


def variant(nic, workers):
    """What a case's name ends with."""
    return nic if workers == 1 else f"{nic}_{workers}w"


def main(cases, variants=(("tap", 1), ("af_packet", 1)), options=()):
    """`--list` or names on the command line; a line `ok NAME` or `not ok NAME: why` each.

    A case takes a Box; its name gets the NIC's appended, and the workers' if there are several.
    Cases that start their own box are marked by an attribute `alone`, and take a NIC and how many
    workers. An attribute `nics` names those that a case is for, where it is not all.
    """
    names = [f"{name}_{variant(*v)}" for v in variants for name, case in cases.items()
             if v[0] in getattr(case, "nics", (v[0],))]
    if sys.argv[1:] == ["--list"]:
        print("\n".join(names), end="\n" if names else "")
        return 0
    chosen = sys.argv[1:] or names
    failed = 0
    for nic, workers in variants:
        more = ("--workers", str(workers), *options) if workers > 1 else tuple(options)
        box = None
        for name, case in cases.items():
            full = f"{name}_{variant(nic, workers)}"
            if full not in chosen or full not in names:
                continue
            try:
                if getattr(case, "alone", False):
                    if box is not None:
                        box.stop()
                        box = None
                    case(nic, *(() if workers == 1 else more))
                else:
                    box = box or Box(nic, *more)
                    case(box)
                print(f"ok {full}", flush=True)
            except (Failed, OSError, KeyError, ValueError, subprocess.SubprocessError) as e:
                print(f"not ok {full}: {type(e).__name__}: {e}", flush=True)
                failed += 1
        if box is not None:
            box.stop()
    return min(failed, 100)
