#!/usr/bin/env python3
"""The README's "Break it", block by block, as it stands there: each prints what it says."""
import os
import re
import subprocess
import sys
import threading

from _box import ROOT, Failed, check, main, run

SECTION = re.compile(r"^## Break it\n(.*?)^## ", re.M | re.S)
BLOCK = re.compile(r"^```sh\n(.*?)^```$", re.M | re.S)
PRINTS = re.compile(r"^# prints (.*)$", re.M)
END = "-- end of block --"
PATIENCE_S = 60


def blocks():
    """[(commands, what the last line of their output must be)]"""
    with open(os.path.join(ROOT, "README.md"), encoding="utf-8") as f:
        section = SECTION.search(f.read())
    check(section is not None, "the README has no section 'Break it'")
    found = [(text, PRINTS.search(text)) for text in BLOCK.findall(section[1])]
    check(len(found) == 3 and all(wanted for _, wanted in found),
          f"{len(found)} blocks, or one of them does not say what it prints")
    return [(text, wanted[1].strip()) for text, wanted in found]


class Shell:
    """One bash for all blocks, as the reader's: variables stay."""

    def __init__(self):
        self.process = subprocess.Popen(
            ["bash"], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, start_new_session=True)

    def do(self, commands):
        """Its lines of output."""
        timer = threading.Timer(PATIENCE_S, self.process.kill)
        timer.start()
        self.process.stdin.write(f"{commands}\necho '{END}'\n".encode())
        self.process.stdin.flush()
        lines = []
        for line in self.process.stdout:
            text = line.decode("utf-8", "replace").rstrip("\n")
            if text == END:
                timer.cancel()
                return lines
            lines.append(text)
        raise Failed(f"the shell ended, or {PATIENCE_S} s were over; its last lines: {lines[-5:]}")

    def close(self):
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()


def clean_up():
    run("--stop")
    subprocess.run("umount /tmp/small; rm -rf /tmp/small /tmp/break-it /tmp/acks", shell=True,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)


def break_it(nic):
    del nic  # the README's, which is tap
    clean_up()
    shell = Shell()
    try:
        for commands, wanted in blocks():
            lines = shell.do(commands)
            check(lines and lines[-1].strip() == wanted, f"wanted '{wanted}', got {lines[-5:]}")
    finally:
        shell.close()
        clean_up()


break_it.alone = True
CASES = {"break_it": break_it}

if __name__ == "__main__":
    sys.exit(main(CASES, [("tap", 1)]))
