"""Fail when a source file's branches and lines were covered by less than 95 % in the test run.

Usage: python scripts/mirror_coverage.py, after `coverage combine`. The data of the whole run is read,
children included, and each file is judged alone, so that a well covered room cannot hide a poor file.
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

ROOT = Path(__file__).resolve().parent.parent
LEAST_PERCENT = 95.0
# Files that no in-process test can cover, each with its reason.
EXEMPT: dict[str, str] = {
    "src/mainspring/concurrency/_worker.py": "some branches run only when a worker dies at that very moment",
}


class Summary(TypedDict):
    """The part of a file's summary that is read: lines and branches together."""

    percent_covered: float


class FileReport(TypedDict):
    """One file in the JSON report of coverage."""

    summary: Summary
    missing_lines: list[int]
    missing_branches: list[list[int]]


class Report(TypedDict):
    """The JSON report of coverage, as far as it is read."""

    files: dict[str, FileReport]


@dataclass(frozen=True, slots=True)
class FileCoverage:
    """How much of one source file ran: `percent` of its lines and branches together."""

    path: str
    percent: float
    missing_lines: tuple[int, ...]
    missing_branches: tuple[tuple[int, int], ...]

    def __str__(self) -> str:
        lines = ", ".join(spans(self.missing_lines)) or "none"
        branches = ", ".join(f"{start}->{end}" for start, end in self.missing_branches) or "none"
        return f"{self.path}: {self.percent:.1f} % (lines {lines}; branches {branches})"


def spans(lines: Sequence[int]) -> list[str]:
    """Return sorted line numbers as text, neighbours joined: 3, 5-7."""
    found: list[tuple[int, int]] = []
    for line in lines:
        if found and found[-1][1] == line - 1:
            found[-1] = (found[-1][0], line)
        else:
            found.append((line, line))
    return [str(first) if first == last else f"{first}-{last}" for first, last in found]


def read_report(report: Report) -> list[FileCoverage]:
    """Return the files of coverage's JSON report, worst first."""
    files = [
        FileCoverage(
            path,
            data["summary"]["percent_covered"],
            tuple(data["missing_lines"]),
            tuple((start, end) for start, end in data["missing_branches"]),
        )
        for path, data in report["files"].items()
    ]
    return sorted(files, key=lambda file: file.percent)


def poor(files: list[FileCoverage], *, present: set[str]) -> list[str]:
    """Return one line for each file below the limit, never measured, or exempt without need."""
    measured = {file.path for file in files}
    complaints = [str(file) for file in files if file.percent < LEAST_PERCENT and file.path not in EXEMPT]
    complaints += [f"{path}: never measured" for path in sorted(present - measured - EXEMPT.keys())]
    good = {file.path for file in files if file.percent >= 100.0}
    complaints += [f"{path}: exempt without need" for path in sorted(EXEMPT.keys() & good)]
    return complaints


def main() -> int:
    """Judge the data of the last test run; return the exit code."""
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder, "coverage.json")
        command = [sys.executable, "-m", "coverage", "json", "--quiet", "-o", str(target)]
        subprocess.run(command, cwd=ROOT, check=True)
        files = read_report(json.loads(target.read_bytes()))
    present = {str(path.relative_to(ROOT)) for path in (ROOT / "src").rglob("*.py")}
    complaints = poor(files, present=present)
    for complaint in complaints:
        print(f"mirror coverage: {complaint}")
    print(f"mirror coverage: {len(files)} files, {len(complaints)} below {LEAST_PERCENT:.0f} %")
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
