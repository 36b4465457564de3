#!/usr/bin/env python3
"""embed.py OUTPUT FILE... - writes the console's files as a C table (mgmt/console/assets.h)."""

import hashlib
import sys
from pathlib import Path

TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}


def rows(number, data):
    yield f"static const unsigned char bytes{number}[] = {{"
    for at in range(0, len(data), 16):
        yield "\t" + " ".join(f"{byte}," for byte in data[at : at + 16])
    yield "};"


def main():
    output, *names = sys.argv[1:]
    lines = ["/* Made by mgmt/console/embed.py: change the console's files instead. */"]
    lines += ['#include "mgmt/console/assets.h"']
    table = ["const struct asset assets[] = {"]
    for number, name in enumerate(names):
        path = Path(name)
        data = path.read_bytes()
        lines += rows(number, data)
        url = "/" if path.name == "index.html" else f"/{path.name}"
        etag = hashlib.sha256(data).hexdigest()[:16]
        table.append(
            f'\t{{"{url}", "{TYPES[path.suffix]}", "\\"{etag}\\"", bytes{number}, {len(data)}}},'
        )
    table += ["};", f"const size_t assets_count = {len(names)};"]
    Path(output).write_text("\n".join([*lines, *table]) + "\n")


if __name__ == "__main__":
    main()
