"""What the manual says is true: each python snippet runs, each page is found, each shell snippet is read.

A snippet is not run when the line above its fence is `<!-- not run: why -->`. When that line is
`<!-- needs the extra NAME -->` it is left out without extras; every other one runs as if none was installed.
"""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import packages_distributions, requires
from pathlib import Path

import pytest
from tests.meta.support_tree import ROOT, SRC

FENCE = re.compile(r"^(?P<before>[^\n]*)\n+```(?P<language>\w+)[^\n]*\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL)
NOT_RUN = re.compile(r"<!-- not run: \w.+ -->")
NEEDS_EXTRA = re.compile(r"<!-- needs the extra \w+ -->")
COMMAND = re.compile(r"^\s*(?:\$ )?mainspring ([a-z][a-z-]*)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Snippet:
    """One fenced block of a page."""

    page: Path
    line: int
    language: str
    code: str
    runs: bool
    needs_extra: bool = False

    def __str__(self) -> str:
        return f"{self.page.name}:{self.line}"


def read_snippets(page: Path) -> Iterator[Snippet]:
    """Return the fenced blocks of a page."""
    text = page.read_text()
    for match in FENCE.finditer("\n" + text):
        line = text.count("\n", 0, match.start("code")) + 1
        before = match["before"].strip()
        needs_extra = NEEDS_EXTRA.fullmatch(before) is not None
        yield Snippet(page, line, match["language"], match["code"], not NOT_RUN.fullmatch(before), needs_extra)


@pytest.fixture(scope="module")
def no_extras(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that hides the packages of all extras when it comes first on the path."""
    folder = tmp_path_factory.mktemp("no-extras")
    wanted = {re.split(r"[^\w.-]", line)[0] for line in requires("mainspring") or [] if "extra ==" in line}
    names = {re.sub(r"[-_.]+", "-", name).lower() for name in wanted}
    hidden = [
        package
        for package, owners in packages_distributions().items()
        if names & {re.sub(r"[-_.]+", "-", owner).lower() for owner in owners}
    ]
    (folder / "sitecustomize.py").write_text(f"import sys\n\nsys.modules.update(dict.fromkeys({hidden}))\n")
    return folder


def run_snippet(snippet: Snippet, folder: Path, *first: Path) -> str | None:
    """Run a python block in a process of its own, in an empty folder; return what went wrong."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, (*first, SRC, ROOT)))}
    program = folder / "snippet.py"
    program.write_text(snippet.code)
    command = [sys.executable, "-W", "error", program.name]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=50, check=False)
    return None if done.returncode == 0 else f"{snippet}: {done.stderr.strip()[-2000:]}"


def named_commands(snippets: list[Snippet]) -> set[str]:
    """Return the subcommands of mainspring that shell blocks name."""
    shell = (snippet.code for snippet in snippets if snippet.language in {"sh", "bash", "shell", "console"})
    return {name for code in shell for name in COMMAND.findall(code)}


PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")])
SNIPPETS = [snippet for page in PAGES if page.exists() for snippet in read_snippets(page)]
PYTHON = [
    pytest.param(snippet, marks=[pytest.mark.extras] if snippet.needs_extra else [])
    for snippet in SNIPPETS
    if snippet.language == "python"
]


@pytest.mark.parametrize("snippet", PYTHON, ids=str)
def test_each_python_snippet_runs(snippet: Snippet, tmp_path: Path, no_extras: Path) -> None:
    if snippet.runs:
        assert run_snippet(snippet, tmp_path, *(() if snippet.needs_extra else (no_extras,))) is None
    else:
        compile(snippet.code, str(snippet), "exec")


@pytest.mark.extras
def test_each_command_in_the_manual_exists() -> None:
    typer = pytest.importorskip("typer")
    from mainspring.cli._main import cli

    known = set(typer.main.get_command(cli).commands)
    assert {"run", "demo"} <= named_commands(SNIPPETS) & known
    assert set() == named_commands(SNIPPETS) - known


def test_every_page_of_the_manual_is_reachable() -> None:
    navigation = (ROOT / "mkdocs.yml").read_text()
    pages = {str(page.relative_to(ROOT / "docs")) for page in (ROOT / "docs").rglob("*.md")}
    listed = set(re.findall(r"[\w./-]+\.md", navigation))
    indexed = {
        str((index.parent / link).relative_to(ROOT / "docs"))
        for index in (ROOT / "docs").rglob("index.md")
        for link in re.findall(r"\]\(([\w./-]+\.md)\)", index.read_text())
    }
    assert set() == pages - listed - indexed
    assert set() == listed - pages


def test_the_rules_of_docs_can_fail(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "A.\n\n```python\nraise SystemExit(3)\n```\n\n<!-- not run: needs a server -->\n```python\n1 / 0\n```\n\n"
        "```sh\n$ mainspring fly --now\nmainspring run app.py\n```\n"
    )
    first, second, shell = read_snippets(page)
    assert run_snippet(first, tmp_path) is not None
    assert 4 == first.line
    assert first.runs
    assert not second.runs
    assert {"fly", "run"} == named_commands([first, second, shell])
