"""`python -m mainspring.compat -m app`, or `app.py`: run a program whose imports name the older libraries."""

import runpy
import sys
from collections.abc import Sequence
from pathlib import Path

from mainspring.compat._install import install

_USAGE = "usage: python -m mainspring.compat (-m MODULE | FILE) [ARGUMENT ...]\n"


def main(arguments: Sequence[str]) -> None:
    """Install the older names and run what the arguments say as `python` would."""
    install()
    match list(arguments):
        case ["-m", module, *rest]:
            sys.argv = [module, *rest]
            sys.path.insert(0, "")
            runpy.run_module(module, run_name="__main__", alter_sys=True)
        case [file, *rest] if not file.startswith("-"):
            sys.argv = [file, *rest]
            sys.path.insert(0, str(Path(file).resolve().parent))
            runpy.run_path(file, run_name="__main__")
        case _:
            sys.stderr.write(_USAGE)
            sys.exit(2)


if __name__ == "__main__":
    main(sys.argv[1:])
