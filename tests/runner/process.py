"""Runs one program and its children with a deadline, and leaves none of them behind."""

import os
import signal
import subprocess
import threading
import time
from dataclasses import dataclass

PATIENCE_S = 5

running = set()  # process groups
lock = threading.Lock()


@dataclass
class Ended:
    code: int  # exit code; negative: killed by that signal
    output: str  # what it printed, errors too, in order
    late: bool  # the deadline ended it

    def why(self):
        if self.late:
            return "took too long and was ended"
        if self.code < 0:
            return "ended by " + signal.Signals(-self.code).name
        return f"exit code {self.code}"


def run(argv, timeout_s, env=None, cwd=None):
    """The program gets a process group of its own, which dies with it or at the deadline."""
    full = dict(os.environ)
    full.update(env or {})
    child = subprocess.Popen(
        [str(a) for a in argv],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=full,
        cwd=cwd,
        start_new_session=True,
    )
    with lock:
        running.add(child.pid)
    late = False
    try:
        output, _ = child.communicate(timeout=timeout_s)
    except subprocess.TimeoutExpired:
        late = True
        signal_group(child.pid, signal.SIGKILL)
        output, _ = child.communicate()
    finally:
        signal_group(child.pid, signal.SIGKILL)
        with lock:
            running.discard(child.pid)
    return Ended(child.returncode, output.decode("utf-8", "replace"), late)


def signal_group(pid, number):
    try:
        os.killpg(pid, number)
    except ProcessLookupError:
        pass


def end_all(number, frame):
    """We were told to stop: the programs may tidy up after themselves, but not for long."""
    groups = list(running)
    for pid in groups:
        signal_group(pid, signal.SIGTERM)
    deadline = time.monotonic() + PATIENCE_S
    while running and time.monotonic() < deadline:
        time.sleep(0.05)
    for pid in groups:
        signal_group(pid, signal.SIGKILL)
    os._exit(128 + number)


def end_with_us():
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, end_all)
