"""What other programs say about the C code: built at all, clang-format, clang-tidy, cppcheck.

The answers of the slow ones are kept below build/tidy/, under a hash of all that goes into them.
"""

import hashlib
import json
import os
import re
import shlex
import subprocess
from concurrent.futures import ThreadPoolExecutor

from sources import is_test

JOBS = max(1, len(os.sched_getaffinity(0)))
INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"', re.M)
PATIENT = ["nice", "-n", "19"]  # conversations may go on meanwhile
CPPCHECK = [
    "cppcheck",
    "--std=c11",
    "--language=c",
    "--platform=unix64",
    "--quiet",
    "--inline-suppr",
    "--enable=warning,performance,portability",
    "--suppressions-list=tests/tidy/cppcheck.txt",
    "--error-exitcode=1",
    "--template={file}:{line}: {severity}: {message} [{id}]",
    "-I.",
]
# Every assertion of a test is a fork in the road for the analyser: minutes, and it does not know
# that CUnit's fatal ones do not return. The sanitizers see these files run anyway.
TEST_CHECKS = ["--checks=-clang-analyzer-*,-bugprone-macro-parentheses"]
# How far the analyser walks into one function: four fifths of its time go into the rest, where the
# assertions have forked the road a thousandfold. --long has no such bound.
WALK_SHORT = ["-Xclang", "-analyzer-config", "-Xclang", "max-nodes=12000"]
# Flags of gcc and of the sanitizers that say nothing to an analyser.
FLAGS_DROPPED = re.compile(r"^(-fsanitize.*|-Werror|-M[DQF]*|-fno-omit-frame-pointer)$")


def check_built(sources, context):
    """Every C file is part of a target."""
    tree = context.trees["asan"]
    replay = {"tests/fuzz/replay_main.c"}  # only in trees without libFuzzer
    built = set(replay)
    for target in tree.introspect("targets"):
        for group in target["target_sources"]:
            for name in group.get("sources", []):
                built.add(os.path.relpath(name, sources.root))
    missing = [p for p in sources.c_files if p.endswith(".c") and p not in built]
    return [f"{p}: in no meson.build" for p in missing]


def check_format(sources, context):
    if not sources.c_files:
        return []
    argv = ["clang-format", "--dry-run", "-Werror", "--ferror-limit=1", *sources.c_files]
    ended = subprocess.run(argv, cwd=sources.root, capture_output=True, check=False)
    if ended.returncode == 0:
        return []
    lines = ended.stderr.decode().splitlines()
    return [line for line in lines if "error:" in line] or lines


def check_clang_tidy(sources, context):
    tree = context.trees["asan"]
    tree.configure()
    version = subprocess.run(["clang-tidy", "--version"], capture_output=True, check=False).stdout
    commands = json.loads((tree.path / "compile_commands.json").read_text())
    jobs = {}
    for command in commands:
        path = os.path.relpath(os.path.join(command["directory"], command["file"]), sources.root)
        if path in sources.files:
            jobs[path] = compiler_flags(command)
    config = version + sources.text(".clang-tidy").encode()

    def one(path):
        directory, flags = jobs[path]
        checks = TEST_CHECKS if is_test(path) else []
        flags = flags if context.long else flags + WALK_SHORT
        argv = ["clang-tidy", "--quiet", *checks, str(sources.root / path), "--", *flags]
        return argv, directory, r"warning:|error:"

    return cached(sources, tree.path.parent, "clang-tidy", sorted(jobs), one, config)


def check_cppcheck(sources, context):
    version = subprocess.run(["cppcheck", "--version"], capture_output=True, check=False).stdout
    config = version + sources.text("tests/tidy/cppcheck.txt").encode()
    files = [p for p in sources.c_files if p.endswith(".c")]

    def one(path):
        return [*CPPCHECK, path], sources.root, r"."

    return cached(sources, context.trees["asan"].path.parent, "cppcheck", files, one, config)


def compiler_flags(command):
    words = shlex.split(command["command"]) if "command" in command else command["arguments"]
    flags, skip = [], True
    for word in words:
        if skip or word == command["file"]:
            skip = False
            continue
        if word in ("-o", "-MF", "-MQ", "-c"):
            skip = word != "-c"
        elif not FLAGS_DROPPED.match(word):
            flags.append(word)
    return command["directory"], flags


def fingerprint(sources, path, extra):
    """Of a file, all project headers below it, and whatever else changes the answer."""
    seen, waiting = set(), [path]
    while waiting:
        name = waiting.pop()
        if name not in seen and name in sources.files:
            seen.add(name)
            waiting += INCLUDE.findall(sources.text(name))
    digest = hashlib.sha256(extra)
    for name in sorted(seen):
        digest.update(name.encode() + b"\0" + sources.text(name).encode() + b"\0")
    return digest.hexdigest()


def cached(sources, build, name, files, command, config):
    store = build / "tidy" / name
    store.mkdir(parents=True, exist_ok=True)

    def one(path):
        argv, directory, interesting = command(path)
        words = "\0".join(str(a) for a in argv).encode()
        kept = store / fingerprint(sources, path, config + words)
        if kept.exists():
            return kept.read_text().splitlines(), kept.name
        ended = subprocess.run([*PATIENT, *argv], cwd=directory, capture_output=True, check=False)
        text = (ended.stdout + ended.stderr).decode("utf-8", "replace")
        lines = [l for l in text.replace(f"{sources.root}/", "").replace("../../", "").splitlines()
            if re.search(interesting, l) and "warnings generated" not in l]
        if ended.returncode != 0 and not lines:
            lines = [f"{path}: {argv[0]} ended with {ended.returncode}: {text[-300:]}"]
        if ended.returncode >= 0:  # else it was killed, and has said nothing about the file
            fresh = kept.with_suffix(".new")
            fresh.write_text("".join(line + "\n" for line in lines))
            fresh.rename(kept)
        return lines, kept.name

    with ThreadPoolExecutor(JOBS) as pool:
        answers = list(pool.map(one, files))
    current = {key for _, key in answers}
    for old in store.iterdir():
        if old.name not in current:
            old.unlink()
    return list(dict.fromkeys(line for lines, _ in answers for line in lines))
