"""Suites of programs that list and run their own tests, and say one line for each.

`PROGRAM --list` prints names; `PROGRAM NAME...` runs those and prints "ok NAME",
"not ok NAME: why" or "skip NAME: why". Anything else it prints is shown if it fails.
"""

import re
import time
from concurrent.futures import ThreadPoolExecutor

from process import run
from report import FAILED, PASSED, SKIPPED, Result
from tree import JOBS

LINE = re.compile(r"^(ok|not ok|skip) ([A-Za-z0-9_.-]+)(?:: ?(.*))?$")
VERDICTS = {"ok": PASSED, "not ok": FAILED, "skip": SKIPPED}
OUTPUT_LINES_MAX = 60
EXIT_SKIPPED = 77  # meson's, too


class Program:
    def __init__(self, name, argv, env=None, timeout_s=300, cwd=None):
        self.name = name
        self.cwd = cwd
        self.argv = argv
        self.env = env or {}
        self.timeout_s = timeout_s

    def list(self):
        ended = run([*self.argv, "--list"], 60, self.env, self.cwd)
        if ended.code != 0:
            raise RuntimeError(f"{self.name} --list: {ended.why()}\n{ended.output}")
        return [line.strip() for line in ended.output.splitlines() if line.strip()]

    def run(self, names, prefix):
        """Runs the named tests in one process: a result for each, whatever happens."""
        started = time.monotonic()
        ended = run([*self.argv, *names], self.timeout_s, self.env, self.cwd)
        said, rest = parse(ended.output)
        seconds = (time.monotonic() - started) / max(1, len(names))
        tail = "\n".join(rest[-OUTPUT_LINES_MAX:])
        missing = (FAILED, "gave no answer: " + ended.why())
        if ended.code == EXIT_SKIPPED:
            missing = (SKIPPED, rest[-1] if rest else "its program says so")
        results = []
        for name in names:
            verdict, text = said.get(name, missing)
            if verdict == FAILED and tail:
                text, tail = text + "\n" + tail, ""
            results.append(Result(prefix + name, verdict, text, seconds))
        if ended.code not in (0, EXIT_SKIPPED) and not any(r.verdict == FAILED for r in results):
            results.append(Result(prefix + "exit", FAILED, ended.why() + "\n" + tail))
        return results

    def run_plain(self, test):
        """A script without a list: its exit code is the answer of its one test."""
        started = time.monotonic()
        ended = run(self.argv, self.timeout_s, self.env, self.cwd)
        seconds = time.monotonic() - started
        tail = "\n".join(ended.output.splitlines()[-OUTPUT_LINES_MAX:])
        if ended.code == EXIT_SKIPPED:
            return Result(test, SKIPPED, tail, seconds)
        if ended.code != 0:
            return Result(test, FAILED, f"{ended.why()}\n{tail}", seconds)
        return Result(test, PASSED, "", seconds)

    def run_whole(self, names, test):
        """The same as one test, for runs that count once: all of it or nothing."""
        results = self.run(names, "")
        failed = [f"{r.test}: {r.text}" for r in results if r.verdict == FAILED]
        seconds = sum(r.seconds for r in results)
        if failed:
            return Result(test, FAILED, "\n".join(failed), seconds)
        if results and all(r.verdict == SKIPPED for r in results):
            return Result(test, SKIPPED, results[0].text, seconds)
        return Result(test, PASSED, "", seconds)


def parse(output):
    """({name: (verdict, text)}, the lines that are no answers)"""
    said, rest = {}, []
    for line in output.splitlines():
        match = LINE.match(line)
        if match:
            said[match[2]] = (VERDICTS[match[1]], match[3] or "")
        elif line.startswith("Shadow bytes around"):
            break  # the sanitizer's memory map and its legend
        else:
            rest.append(line)
    return said, rest


def together(jobs):
    """Runs callables on all cores; yields what they return, in order."""
    with ThreadPoolExecutor(JOBS) as pool:
        for future in [pool.submit(job) for job in jobs]:
            yield future.result()
