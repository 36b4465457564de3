"""tidy.NAME: the house rules that a program can check. The checks are in tests/tidy/."""

import sys
import time

from programs import together
from report import FAILED, PASSED, Result
from tree import ROOT, BuildFailed

sys.path.insert(0, str(ROOT / "tests" / "tidy"))

import analysis  # noqa: E402
import calls  # noqa: E402
import conformance  # noqa: E402
import layers  # noqa: E402
import sizes  # noqa: E402
import texts  # noqa: E402
from sources import Sources  # noqa: E402

CHECKS = {
    "layers": layers.check,
    "functions": sizes.check_functions,
    "files": sizes.check_files,
    "lines": sizes.check_lines,
    "calls": calls.check_banned,
    "allocation": calls.check_allocation,
    "sleeps": calls.check_sleeps,
    "comments": texts.check_comments,
    "places": texts.check_places,
    "scripts": texts.check_scripts,
    "built": analysis.check_built,
    "format": analysis.check_format,
    "clang_tidy": analysis.check_clang_tidy,
    "cppcheck": analysis.check_cppcheck,
    "conformance": conformance.check,
}
PROBLEMS_MAX = 40


class Tidy:
    """A check is given the sources and the run's context, and returns lines about problems."""

    def __init__(self, context):
        self.context = context
        self.sources = Sources(ROOT)

    def list(self):
        return [f"tidy.{name}" for name in CHECKS]

    def prepare(self, wanted):
        pass

    def run(self, wanted):
        names = [n for n in CHECKS if f"tidy.{n}" in wanted]
        yield from together([lambda n=n: self._one(n) for n in names])

    def _one(self, name):
        started = time.monotonic()
        try:
            problems = CHECKS[name](self.sources, self.context)
        except (BuildFailed, RuntimeError, OSError) as failure:
            problems = [str(failure)]
        seconds = time.monotonic() - started
        if not problems:
            return Result(f"tidy.{name}", PASSED, "", seconds)
        shown = problems[:PROBLEMS_MAX]
        if len(problems) > len(shown):
            shown.append(f"... and {len(problems) - len(shown)} more")
        return Result(f"tidy.{name}", FAILED, "\n  ".join(["", *shown]), seconds)
