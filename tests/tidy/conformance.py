"""docs/conformance/*.md: every rule that is claimed names tests that exist.

A table with the columns "status" and "tests". A status that begins with yes or partial needs at
least one id, and every id must be one that `./test --list` prints; `unit.x.*` stands for many.
"""

import fnmatch
import re

ID = re.compile(r"[a-z]+\.[A-Za-z0-9_.*-]*[A-Za-z0-9_*]")
CLAIMS = ("yes", "partial")


def cells(line):
    return [c.strip() for c in line.strip().strip("|").split("|")]


def rows(text):
    """(line number, {column: cell}) for every row of every table that has both columns."""
    columns = None
    for number, line in enumerate(text.splitlines(), 1):
        if not line.lstrip().startswith("|"):
            columns = None
            continue
        found = cells(line)
        if columns is None:
            columns = [c.lower() for c in found]
        elif not set(line) <= set("|-: \t") and {"status", "tests"} <= set(columns):
            yield number, dict(zip(columns, found))


def check(sources, context):
    pages = [p for p in sources.files if p.startswith("docs/conformance/") and p.endswith(".md")]
    if not pages:
        return []
    known = set(context.ids())
    problems = []
    for path in pages:
        claimed = list(rows(sources.text(path)))
        if not claimed:
            problems.append(f"{path}: no table with the columns status and tests")
        for number, row in claimed:
            if not row["status"].lower().startswith(CLAIMS):
                continue
            named = ID.findall(row.get("tests", ""))
            if not named:
                problems.append(f"{path}:{number}: claimed, but names no test")
            for test in named:
                if test not in known and not fnmatch.filter(known, test):
                    problems.append(f"{path}:{number}: no such test: {test}")
    return problems
