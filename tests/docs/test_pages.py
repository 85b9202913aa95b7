"""Pages that list all of something list all of it, and the built manual tells what every name takes."""

import importlib.metadata
import inspect
import re

import pytest
from scripts import command_reference, manual_hooks
from tests.meta.support_tree import ROOT

from mainspring.jobs import JobApp, JobContext, job

DOCS = ROOT / "docs"


def first_cells(page: str) -> set[str]:
    """Return the words in code that begin the rows of the tables of a page."""
    rows = re.findall(r"^\| (`[^|]*) \|", (DOCS / page).read_text(), re.MULTILINE)
    return {word for row in rows for word in re.findall(r"`(\w+)`", row)}


def test_every_extra_is_on_the_page_about_installing() -> None:
    extras = set(importlib.metadata.metadata("mainspring").get_all("Provides-Extra") or [])
    named = set(re.findall(r"`(\w+)`", (DOCS / "install.md").read_text()))
    assert extras
    assert set() == extras - named
    assert set() == first_cells("install.md") - extras


def test_every_option_of_a_job_is_on_the_page_about_jobs() -> None:
    options = manual_hooks.keywords_of(inspect.signature(job).parameters["options"].annotation)
    assert options is not None
    named = set(re.findall(r"`(\w+)`", (DOCS / "topics/options.md").read_text()))
    assert set() == set(options.__annotations__) - named


def test_every_option_of_an_app_is_on_the_page_about_jobs() -> None:
    options = inspect.signature(JobApp).parameters.keys() - {"label"}
    assert set() == options - first_cells("topics/options.md")


def test_every_fact_of_a_run_is_on_the_page_about_jobs() -> None:
    facts = set(re.findall(r"^ {4}(\w+(?:, \w+)*): ", inspect.getdoc(JobContext) or "", re.MULTILINE))
    named = set(re.findall(r"\w+", (DOCS / "topics/options.md").read_text()))
    assert len(facts) > 8
    assert set() == {name for fact in facts for name in fact.split(", ")} - named


def test_the_promise_is_stated_in_the_same_words_everywhere() -> None:
    pages = [ROOT / "README.md", *DOCS.rglob("*.md")]
    found = [promise for page in pages if (promise := promise_of(page.read_text()))]
    assert len(found) > 1
    assert 1 == len(set(found))


def promise_of(text: str) -> str:
    """Return the paragraph that states what a job promises, whatever its line breaks; empty if there is none."""
    match = re.search(r"^Every occurrence ends in .+?(?=\n\n|\Z)", text, re.MULTILINE | re.DOTALL)
    return "" if match is None else " ".join(match[0].split())


@pytest.mark.extras
def test_the_reference_tells_what_a_class_and_its_methods_take() -> None:
    chapter = manual_hooks.chapter("JobApp", JobApp)
    assert "    label: str = 'default'," in chapter
    assert "- `slots`: handlers that may run at once" in chapter
    assert "await run_job(" in chapter
    assert "- `UnknownJobError`: the job is not registered." in chapter
    assert "Options:" in manual_hooks.chapter("job", job)


@pytest.mark.extras
@pytest.mark.parametrize("room", ["concurrency", "services", "sinks", "storage", "testing", "tools"])
def test_no_object_is_shown_by_its_address(room: str) -> None:
    assert " at 0x" not in manual_hooks.details(f"mainspring.{room}")


def test_a_docstring_becomes_lists_and_code() -> None:
    arguments = "Args:\n    one: first,\n        and more.\n    two: `a < b`."
    assert manual_hooks.prose(f"Do <it>.\n\n{arguments}\n\nExample:\n    >>> 1\n    1").split("\n") == [
        "Do &lt;it&gt;.",
        "",
        "",
        "Arguments:",
        "",
        "- `one`: first, and more.",
        "- `two`: `a < b`.",
        "",
        "```python",
        ">>> 1",
        "1",
        "```",
    ]


@pytest.mark.extras
def test_every_command_has_its_chapter_and_every_option_its_words() -> None:
    text = command_reference.commands_as_markdown()
    assert "## mainspring backfill APP JOB" in text
    assert "## mainspring config set APP JOB [KEY=VALUE]..." in text
    options = re.findall(r"^- `([^`]*)`(.*)$", text, re.MULTILINE)
    assert [] == [names for names, words in options if not words.strip()]
    assert [] == [names for names, _ in options if "<str" in names or "range" in names]
