"""The project's own files, read once, and just enough C to know comments from code."""

import functools
import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

SPECIAL = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)
ATTRIBUTE = re.compile(r"__attribute__\s*\(\(.*?\)\)")
NAME = re.compile(r"([A-Za-z_]\w*)\s*\(")
# Beside the sources: tests, and what only tests link (rigs, fakes, oracles, tables of talks).
TEST_FILE = re.compile(r"_(test|fuzz|rig|fake|talk|check|oracle)(_\w+)?\.[ch]$")
NOT_OURS = {"build", "node_modules", ".git", "__pycache__"}


@dataclass
class Function:
    name: str
    line: int  # of its signature
    length: int  # from the signature to the closing brace


class Sources:
    def __init__(self, root):
        self.root = Path(root)
        self.files = sorted(self._find())
        self.c_files = [f for f in self.files if f.endswith((".c", ".h"))]

    def _find(self):
        listing = subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            cwd=self.root, capture_output=True, check=False,
        )
        if listing.returncode == 0:
            names = listing.stdout.decode().split("\0")
            return {n for n in names if n and (self.root / n).is_file()}
        return set(self._walk())

    def _walk(self):
        """Without git (an unpacked archive): everything but what is built."""
        for folder, folders, files in os.walk(self.root):
            folders[:] = [f for f in folders if f not in NOT_OURS]
            for name in files:
                yield str((Path(folder) / name).relative_to(self.root))

    @functools.lru_cache(maxsize=None)
    def text(self, path):
        """"" for files that are no text."""
        try:
            return (self.root / path).read_bytes().decode("utf-8")
        except UnicodeDecodeError:
            return ""

    @functools.lru_cache(maxsize=None)
    def code(self, path):
        """C without comments and with empty strings; every line stays where it was."""
        return SPECIAL.sub(blank, self.text(path))

    @functools.lru_cache(maxsize=None)
    def comments(self, path):
        """[(line, text)]"""
        text = self.text(path)
        found = []
        for match in SPECIAL.finditer(text):
            if match[0].startswith(("/*", "//")):
                found.append((text.count("\n", 0, match.start()) + 1, match[0]))
        return found

    @functools.lru_cache(maxsize=None)
    def functions(self, path):
        """The house style puts a function's braces alone in the first column."""
        lines = self.code(path).splitlines()
        found = []
        for number, line in enumerate(lines):
            if line.rstrip() != "{":
                continue
            start = number
            while start > 0 and (lines[start - 1].strip() and lines[start - 1][0] not in "}#"):
                start -= 1
            match = NAME.search(ATTRIBUTE.sub("", " ".join(lines[start:number])))
            end = number
            while end < len(lines) and not lines[end].startswith("}"):
                end += 1
            if match:
                found.append(Function(match[1], start + 1, end - start + 1))
        return found


def is_test(path):
    return path.startswith("tests/") or TEST_FILE.search(path) is not None


def blank(match):
    text = match[0]
    if text.startswith('"'):
        return '""'
    if text.startswith("'"):
        return "' '"
    return " " + "\n" * text.count("\n")
