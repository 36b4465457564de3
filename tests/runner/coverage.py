"""fuzz.TARGET.coverage: the committed corpus reaches most lines of its decoder.

Which files are a target's decoder is written in tests/fuzz/coverage.txt.
"""

import functools
import json
import os

from process import run
from programs import together
from report import FAILED, PASSED, Result
from tree import BUILD, ROOT, BuildFailed

PERCENT_MIN = 90.0
LIST = ROOT / "tests" / "fuzz" / "coverage.txt"


def decoders():
    """{target: [file, ...]}"""
    found = {}
    for line in LIST.read_text().splitlines():
        line = line.split("#")[0].strip()
        if line:
            target, files = line.split(":")
            found[target.strip()] = files.split()
    return found


def checked_run(argv, timeout_s, env=None):
    ended = run(argv, timeout_s, env=env)
    if ended.code != 0:
        raise BuildFailed(f"{argv[0]}: {ended.why()}\n{ended.output[-4000:]}")
    return ended.output


class Coverage:
    def __init__(self, context):
        self.tree = context.trees["cov"]
        self.targets = context.trees["asan"].fuzzers

    def list(self):
        return [f"fuzz.{target}.coverage" for target in self.targets()]

    def prepare(self, wanted):
        chosen = [p for t, p in self.tree.fuzzers().items() if f"fuzz.{t}.coverage" in wanted]
        self.tree.build(*(str(p.relative_to(self.tree.path)) for p in chosen))

    def run(self, wanted):
        files = decoders()
        chosen = [t for t in self.targets() if f"fuzz.{t}.coverage" in wanted]
        jobs = [functools.partial(self._one, t, files.get(t, [])) for t in chosen]
        yield from together(jobs)

    def _one(self, target, files):
        test = f"fuzz.{target}.coverage"
        if not files:
            return Result(test, FAILED, "no line for it in tests/fuzz/coverage.txt")
        missing = [f for f in files if not (ROOT / f).exists()]
        if missing:
            return Result(test, FAILED, f"tests/fuzz/coverage.txt: no such file: {missing}")
        try:
            covered, count, each = self._measure(target, files)
        except BuildFailed as problem:
            return Result(test, FAILED, str(problem))
        percent = 100.0 * covered / count
        if percent < PERCENT_MIN:
            text = f"corpus reaches {percent:.1f} % of the lines: {'; '.join(each)}"
            return Result(test, FAILED, text)
        return Result(test, PASSED)

    def _measure(self, target, files):
        """(lines reached, lines, a remark on each file)"""
        program = self.tree.fuzzers()[target]
        raw = BUILD / "cov" / f"{target}.profraw"
        merged = raw.with_suffix(".profdata")
        raw.parent.mkdir(parents=True, exist_ok=True)
        corpus = ROOT / "tests" / "corpus" / target
        checked_run([program, corpus], 120, {"LLVM_PROFILE_FILE": str(raw)})
        checked_run(["llvm-profdata", "merge", "-o", merged, raw], 60)
        argv = ["llvm-cov", "export", "-summary-only", f"-instr-profile={merged}", program]
        data = json.loads(checked_run(argv, 60))["data"][0]
        covered, count, each = 0, 0, []
        for entry in data["files"]:
            name = os.path.relpath(os.path.normpath(entry["filename"]), ROOT)
            if name not in files:
                continue
            lines = entry["summary"]["lines"]
            covered += lines["covered"]
            count += lines["count"]
            each.append(f"{name} {lines['covered']}/{lines['count']}")
        if count == 0:
            raise BuildFailed(f"{target}_fuzz has no lines of {files}")
        return covered, count, each
