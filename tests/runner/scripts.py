"""talk and browser: test programs that are scripts, run against the built project."""

import functools
import hashlib
import shutil
import sys

from process import run
from programs import Program
from tree import BUILD, ROOT, BuildFailed

INTERPRETERS = {".py": [sys.executable, "-B"], ".mjs": ["node"]}
TIMEOUT_S = 900
NPM_FLAGS = ["--no-audit", "--no-fund", "--ignore-scripts", "--omit=optional"]


class Scripts:
    """tests/NAME/*.py and *.mjs, one after another: they own network namespaces and ports.

    Files whose names begin with an underscore, or that are in lower folders, are their helpers.
    What tests/NAME/package.json asks for is installed below build/, and found by NODE_PATH.
    """

    def __init__(self, name, context):
        self.name = name
        self.context = context
        self.folder = ROOT / "tests" / name

    def list(self):
        return [f"{self.name}.{n}" for _, names in self._programs() for n in names]

    def prepare(self, wanted):
        self.context.trees["gcc"].build()
        self._install()

    def run(self, wanted):
        for program, names in self._programs():
            chosen = [n for n in names if f"{self.name}.{n}" in wanted]
            if chosen:
                yield from program.run(chosen, f"{self.name}.")

    @functools.lru_cache(maxsize=None)
    def _programs(self):
        env = dict(self.context.env)
        env["SIGNALBOX_TREE"] = str(self.context.trees["gcc"].path)
        env["NODE_PATH"] = str(self._modules() / "node_modules")
        env["PYTHONDONTWRITEBYTECODE"] = "1"
        found = []
        for path in sorted(self.folder.glob("*")):
            if path.suffix not in INTERPRETERS or path.name.startswith("_"):
                continue
            program = Program(path.stem, [*INTERPRETERS[path.suffix], path], env, TIMEOUT_S)
            found.append((program, program.list()))
        names = [n for _, listed in found for n in listed]
        twice = sorted({n for n in names if names.count(n) > 1})
        if twice:
            raise RuntimeError(f"named twice in {self.name}: {twice}")
        return found

    def _modules(self):
        return BUILD / "node" / self.name

    def _install(self):
        lock = self.folder / "package-lock.json"
        if not lock.exists():
            return
        where = self._modules()
        stamp = where / "installed"
        wanted = hashlib.sha256(lock.read_bytes()).hexdigest()
        if stamp.exists() and stamp.read_text() == wanted:
            return
        where.mkdir(parents=True, exist_ok=True)
        for name in ("package.json", "package-lock.json"):
            shutil.copy(self.folder / name, where / name)
        ended = run(["npm", "ci", *NPM_FLAGS], 600, cwd=where)
        if ended.code != 0:
            raise BuildFailed(f"npm ci for tests/{self.name}: {ended.why()}\n{ended.output}")
        stamp.write_text(wanted)
