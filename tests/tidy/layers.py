"""Who includes whom, against tests/tidy/layers.txt (the format is explained there)."""

import re

from sources import is_test

INCLUDE = re.compile(r'^\s*#\s*include\s+(?:"([^"]+)"|<([^>]+)>)', re.M)
TABLE = "tests/tidy/layers.txt"
HARNESS = ["tests/unit", "tests/fuzz", "tests/link", "storage/memory"]


class Table:
    def __init__(self, text):
        self.folders = {}  # folder -> (project folders, outside headers)
        self.everywhere = []  # headers of the C library and the system
        for line in text.splitlines():
            line = line.split("#")[0].strip()
            if not line:
                continue
            name, _, rest = line.partition(":")
            inside, _, outside = rest.partition(";")
            if name == "*":
                self.everywhere += outside.split()
            else:
                self.folders[name] = (inside.split(), outside.split())

    def row(self, path):
        """The longest folder of the table that holds the file."""
        holders = [f for f in self.folders if path.startswith(f + "/")]
        return max(holders, key=len, default=None)


def is_named(header, names):
    """"rte_" and "sys/" are beginnings; "yaml" is yaml.h."""
    return any(
        header.startswith(n) if n[-1] in "_/" else header == n + ".h" for n in names
    )


def problem_inside(sources, table, path, row, header):
    if header not in sources.files and not header.endswith(".inc"):
        return f'"{header}" is not a file of the project, spelt from its root'
    allowed = [row, *table.folders[row][0]]
    if is_test(path):
        allowed += HARNESS
    if not any(header == name or header.startswith(name + "/") for name in allowed):
        return f'{row} may not include "{header}"'
    return None


def problem_outside(table, row, header):
    if is_named(header, table.everywhere) or is_named(header, table.folders[row][1]):
        return None
    homes = [f for f, (_, outside) in table.folders.items() if is_named(header, outside)]
    if homes:
        return f"<{header}> belongs to {', '.join(homes)}"
    return f"<{header}> has no home in {TABLE}"


def check(sources, context):
    table = Table(sources.text(TABLE))
    problems = []
    for path in sources.c_files:
        row = table.row(path)
        if row is None:
            problems.append(f"{path}: its folder has no row in {TABLE}")
            continue
        text = sources.text(path)
        for match in INCLUDE.finditer(text):
            if match[1]:
                problem = problem_inside(sources, table, path, row, match[1])
            else:
                problem = problem_outside(table, row, match[2])
            if problem:
                problems.append(f"{path}:{text.count(chr(10), 0, match.start()) + 1}: {problem}")
    return problems
