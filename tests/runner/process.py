"""Runs one program and its children with a deadline, and leaves none of them behind."""

import os
import signal
import subprocess
from dataclasses import dataclass


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
    late = False
    try:
        output, _ = child.communicate(timeout=timeout_s)
    except subprocess.TimeoutExpired:
        late = True
        end_group(child.pid)
        output, _ = child.communicate()
    except BaseException:
        end_group(child.pid)
        raise
    end_group(child.pid)
    return Ended(child.returncode, output.decode("utf-8", "replace"), late)


def end_group(pid):
    try:
        os.killpg(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
