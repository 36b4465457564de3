"""fuzz.planted.X-N: a defect planted by a patch is found by fuzzing X within a minute.

The patches, tests/fuzz/planted/X-N.patch, are applied to a copy of the sources below build/. A
plain run takes the first patch of each target; --long, or naming them, takes all.
"""

import shutil
import time

from fuzz import fuzz_once
from process import run
from report import FAILED, PASSED, Result
from tree import BUILD, ROOT, SANITIZE, BuildFailed, Tree

SECONDS_MAX = 60
PATCHES = ROOT / "tests" / "fuzz" / "planted"
COPY = BUILD / "planted" / "source"


def copy_sources(copy=COPY):
    """Writes only what differs, with a fresh time, so that the copy's tree builds little."""
    argv = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listing = run(argv, 60, cwd=ROOT)
    if listing.code != 0:
        raise BuildFailed("git ls-files: " + listing.output)
    for name in listing.output.split("\0"):
        source, target = ROOT / name, copy / name
        if not name or not source.is_file():
            continue
        if target.exists() and target.read_bytes() == source.read_bytes():
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
        shutil.copymode(source, target)


class Planted:
    def __init__(self, context):
        self.context = context
        self.tree = Tree("planted/tree", "clang", SANITIZE, source=COPY)

    def list(self):
        return [f"fuzz.planted.{p.stem}" for p in sorted(PATCHES.glob("*.patch"))]

    def prepare(self, wanted):
        copy_sources()
        self.tree.configure()

    def run(self, wanted):
        for patch in self._chosen(wanted):
            started = time.monotonic()
            verdict, text = self._one(patch)
            seconds = time.monotonic() - started
            yield Result(f"fuzz.planted.{patch.stem}", verdict, text, seconds)

    def _chosen(self, wanted):
        patches = [p for p in sorted(PATCHES.glob("*.patch")) if f"fuzz.planted.{p.stem}" in wanted]
        if self.context.long or self.context.named:
            return patches
        first = {}
        for patch in patches:
            first.setdefault(patch.stem.rsplit("-", 1)[0], patch)
        return list(first.values())

    def _one(self, patch):
        target = patch.stem.rsplit("-", 1)[0]
        ended = run(["patch", "-p1", "--forward", "-i", patch], 30, cwd=COPY)
        try:
            if ended.code != 0:
                return FAILED, f"{patch.name} does not apply\n{ended.output}"
            program = self.tree.fuzzers().get(target)
            if program is None:
                return FAILED, f"no target {target}_fuzz"
            self.tree.built.clear()
            self.tree.broken = False
            self.tree.build(str(program.relative_to(self.tree.path)))
            budget = [f"-max_total_time={SECONDS_MAX}"]
            scratch = BUILD / "fuzz" / f"planted-{patch.stem}"
            found = fuzz_once(target, program, scratch, budget, SECONDS_MAX + 60)
        except BuildFailed as problem:
            return FAILED, str(problem)
        finally:
            run(["find", COPY, "-name", "*.rej", "-delete"], 30)
            copy_sources()
        if found.code == 0:
            return FAILED, f"not found within {SECONDS_MAX} s"
        return PASSED, ""
