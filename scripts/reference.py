"""Write docs/reference: one page per room with its public names, one line each, and the commands, read from the code.

Usage: python scripts/reference.py [--check]
"""

import argparse
import importlib
import inspect
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGES = ROOT / "docs" / "reference"
COMMANDS = "mainspring.cli"
HEAD = "<!-- written by scripts/reference.py from the doors; do not edit -->\n\n"


def rooms() -> list[str]:
    """Return the modules that have a page: the package, its rooms, and their inner packages that offer names."""
    src = ROOT / "src" / "mainspring"
    return ["mainspring", *(f"mainspring.{path.parent.name}" for path in sorted(src.glob("*/__init__.py")))]


def first_line(value: object) -> str:
    """Return the first line of a public object's docstring, or say what kind of object it is."""
    ours = str(getattr(value, "__module__", "")).startswith("mainspring.")
    described = inspect.isroutine(value) or inspect.isclass(value)
    text = inspect.getdoc(value) if ours and described else None
    if text:
        return " ".join(text.split("\n\n")[0].split())
    return f"A name for `{getattr(value, '__qualname__', None) or type(value).__name__}`."


def page(name: str) -> str | None:
    """Return the page of a room, or None when it offers nothing to users."""
    room = importlib.import_module(name)
    public: Sequence[str] = getattr(room, "__all__", ())
    if not public:
        return None
    rows = [f"| `{one}` | {first_line(getattr(room, one)).replace('|', chr(92) + '|')} |" for one in sorted(public)]
    text = inspect.cleandoc(room.__doc__ or "").strip()
    more = f"\n{_commands()}" if name == COMMANDS else ""
    return f"{HEAD}# {name}\n\n{text}\n\n| name | what it is |\n|---|---|\n" + "\n".join(rows) + f"\n{more}"


def pages() -> dict[Path, str]:
    """Return every page that the doors ask for, with the index."""
    found = {PAGES / f"{name.removeprefix('mainspring.')}.md": text for name in rooms() if (text := page(name))}
    lines = [f"- [{path.stem}]({path.name}): {_summary(text)}" for path, text in found.items()]
    intro = (
        "# Reference\n\nThe public names of each room, and the [commands](cli.md). The built manual (`make docs`)\n"
        "tells on each page what its names take and raise, as their docstrings do.\n\n"
    )
    return {**found, PAGES / "index.md": f"{HEAD}{intro}" + "\n".join(lines) + "\n"}


def _commands() -> str:
    from scripts.command_reference import commands_as_markdown

    return commands_as_markdown()


def _summary(text: str) -> str:
    return " ".join(text.split("\n\n")[2].split())


def complaints() -> list[str]:
    """Return pages that differ from what the doors say, or that no door asks for."""
    wanted = pages()
    stale = [path for path, text in wanted.items() if not path.exists() or path.read_text() != text]
    return [str(path.relative_to(ROOT)) for path in [*stale, *(set(PAGES.glob("*.md")) - wanted.keys())]]


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the pages, or with --check say which are out of date."""
    parser = argparse.ArgumentParser(description="Write docs/reference from the doors.")
    parser.add_argument("--check", action="store_true", help="write nothing; fail when a page is out of date")
    if parser.parse_args(arguments).check:
        found = complaints()
        for one in found:
            print(f"{one} is out of date: run python scripts/reference.py")
        return 1 if found else 0
    PAGES.mkdir(parents=True, exist_ok=True)
    wanted = pages()
    for path in set(PAGES.glob("*.md")) - wanted.keys():
        path.unlink()
    for path, text in wanted.items():
        path.write_text(text)
    return 0


if __name__ == "__main__":
    sys.path[:0] = [str(ROOT), str(ROOT / "src")]
    sys.exit(main())
