"""Join the coverage data of all processes of a test run.

Usage: python scripts/combine_coverage.py [FOLDER]

A child that a test kills while it writes leaves a file that was never finished. Such files are counted and removed
here, so that whatever else `coverage combine` warns of is an error.
"""

import os
import sqlite3
import sys
import warnings
from contextlib import closing
from pathlib import Path

from coverage.cmdline import main as coverage_command
from coverage.exceptions import CoverageWarning

ROOT = Path(__file__).resolve().parent.parent
WHOLE = "SELECT (SELECT count(*) FROM coverage_schema), (SELECT count(*) FROM meta WHERE key = 'version')"


def unfinished(path: Path) -> bool:
    """Tell whether the process that wrote a data file ended before it was whole."""
    with closing(sqlite3.connect(path)) as connection:
        try:
            return (1, 1) != tuple(connection.execute(WHOLE).fetchone())
        except sqlite3.DatabaseError:  # no table yet, or pages that were never written
            return True


def remove_unfinished(folder: Path) -> int:
    """Remove the data files of killed children and return how many there were."""
    found = [path for path in sorted(folder.glob("coverage.*")) if path.suffix != ".json" and unfinished(path)]
    for path in found:
        path.unlink()
    return len(found)


def main() -> int:
    """Combine what is in `build`; return the exit code."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "build"
    os.chdir(ROOT)
    count = remove_unfinished(folder)
    if count:
        print(f"coverage: {count} data files of killed children were never finished")
    warnings.simplefilter("error", CoverageWarning)
    return int(coverage_command(["combine", "--quiet"]) or 0)


if __name__ == "__main__":
    sys.exit(main())
