"""Run a command on every file of a folder, each in a child with limits, and say how it ended.

    python benchmarks/hostile.py FOLDER [--command "semc compile {file} -t mesh-cpu -o /dev/null"]
        [--match REGEX] [--seconds 20] [--gib 4] [--json FILE]

For folders of malformed and hostile files. A file is *accepted* (exit code 0) or *refused*: one
line that begins with "error: " and exit code 1, 2 or 3. Everything else is a bug of the command: a
*fault* (exit code 70, a traceback, more or fewer lines), a *crash* (a signal), *out of time*, *out
of memory*. A ``manifest.json`` beside the files may say of each ``name`` whether to ``expect`` it
to be "reject"ed, "accept"ed or (anything else) only bounded. Ends with status 1 on a bug or where
a file is not taken as expected.
"""

import argparse
import json
import os
import re
import resource
import shlex
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path

_COMMAND = "semc compile {file} -t memcap-phone -o /dev/null"
_MEMORY_TEXTS = ("MemoryError", "bad_alloc", "Unable to allocate")
_ALLOWED = {"reject": {"refused"}, "accept": {"accepted"}}


@dataclass(frozen=True)
class Ending:
    """How the command took one file; ``peak_rss_mib`` is that of the child and what it started."""

    name: str
    expect: str
    outcome: str
    exit_code: int
    seconds: float
    cpu_seconds: float
    peak_rss_mib: float
    file_mib: float
    message: str

    @property
    def expected(self) -> bool:
        """Whether the outcome is one of those that the file may have."""
        return self.outcome in _ALLOWED.get(self.expect, {"accepted", "refused"})


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--command", default=_COMMAND, help="{file} stands for the file's path")
    parser.add_argument("--match", default="", help="regular expression on the file's name")
    parser.add_argument("--seconds", type=float, default=20, help="wall time a file may take")
    parser.add_argument("--gib", type=float, default=4, help="address space a child may have")
    parser.add_argument("--json", type=Path, help="write all endings to this file")
    options = parser.parse_args()
    expectations = expected_endings(options.folder)
    endings = []
    for path in sorted(options.folder.iterdir()):
        known = not expectations or path.stem in expectations
        if path.is_file() and known and re.search(options.match, path.name):
            expect = expectations.get(path.stem, "")
            ending = run_file(path, options.command, expect, options.seconds, options.gib)
            endings.append(ending)
            print(line_of(ending), flush=True)
    print(summary(endings))
    if options.json:
        rows = [asdict(ending) | {"expected": ending.expected} for ending in endings]
        options.json.write_text(json.dumps(rows, indent=1), encoding="utf-8")
    return 0 if all(ending.expected for ending in endings) else 1


def expected_endings(folder: Path) -> dict[str, str]:
    """What the folder's manifest expects, by the name of the file without its suffix."""
    manifest = folder / "manifest.json"
    if not manifest.exists():
        return {}
    entries = json.loads(manifest.read_text(encoding="utf-8"))
    return {entry["name"]: entry.get("expect", "") for entry in entries}


def run_file(path: Path, command: str, expect: str, seconds: float, gib: float) -> Ending:
    """Run ``command`` on ``path`` in a child of its own process group, within the limits."""
    arguments = [part.replace("{file}", str(path.absolute())) for part in shlex.split(command)]

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (int(gib * 2**30), int(gib * 2**30)))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))

    with tempfile.TemporaryFile() as errors:
        start = time.perf_counter()
        child = subprocess.Popen(
            arguments,
            stdout=subprocess.DEVNULL,
            stderr=errors,
            start_new_session=True,
            preexec_fn=limit,
            env={**os.environ, "OMP_NUM_THREADS": "1", "NO_COLOR": "1"},
        )
        late, usage = wait(child.pid, start + seconds)
        elapsed = time.perf_counter() - start
        child.returncode = os.waitstatus_to_exitcode(usage[0])
        errors.seek(0)
        text = errors.read().decode(errors="replace")
    told = [line for line in text.splitlines() if not line.startswith("[")]  # progress apart
    return Ending(
        name=path.stem,
        expect=expect,
        outcome="out of time" if late else outcome(child.returncode, told),
        exit_code=child.returncode,
        seconds=round(elapsed, 3),
        cpu_seconds=round(usage[1].ru_utime + usage[1].ru_stime, 3),
        peak_rss_mib=round(usage[1].ru_maxrss / 1024, 1),
        file_mib=round(path.stat().st_size / 2**20, 3),
        message=told[-1][:300] if told else "",
    )


def wait(process: int, deadline: float) -> tuple[bool, tuple[int, resource.struct_rusage]]:
    """Whether the deadline came first, and the child's status and use of resources."""
    late = False
    while True:
        done, status, usage = os.wait4(process, 0 if late else os.WNOHANG)
        if done:
            return late, (status, usage)
        if time.perf_counter() > deadline:
            os.killpg(process, 9)
            late = True
        time.sleep(0.01)


def outcome(code: int, told: list[str]) -> str:
    """The word for an ending, from the exit code and what was told on standard error."""
    if any(text in line for line in told for text in _MEMORY_TEXTS):
        return "out of memory"
    if code < 0:
        return "crash"
    if code == 0:
        return "accepted"
    usage = code == 2 and bool(told) and told[-1].startswith("Error: ")
    clear = bool(told) and all(line.startswith("error: ") for line in told)
    return "refused" if usage or (code in (1, 2, 3) and clear) else "fault"


def line_of(ending: Ending) -> str:
    mark = " " if ending.expected else "!"
    return (
        f"{mark} {ending.name:32s} {ending.outcome:14s} {ending.seconds:6.2f} s "
        f"{ending.peak_rss_mib:7.0f} MiB  {ending.message[:150]}"
    )


def summary(endings: list[Ending]) -> str:
    """Counts by outcome, and the longest and the largest child."""
    if not endings:
        return "no file"
    counts = Counter(ending.outcome for ending in endings)
    longest = max(endings, key=lambda ending: ending.seconds)
    largest = max(endings, key=lambda ending: ending.peak_rss_mib - ending.file_mib)
    return (
        f"{len(endings)} files, {sum(e.expected for e in endings)} as expected: "
        + ", ".join(f"{count} {word}" for word, count in counts.most_common())
        + f"\nlongest {longest.seconds:.2f} s ({longest.name}), most memory beyond the file "
        + f"{largest.peak_rss_mib - largest.file_mib:.0f} MiB ({largest.name})"
    )


if __name__ == "__main__":
    sys.exit(main())
