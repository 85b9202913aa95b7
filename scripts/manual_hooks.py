"""For mkdocs: gives each page of docs/reference what every name takes and raises, read from the docstrings.

The pages in docs/reference hold one line for each name, so that they seldom change; the built manual tells the rest.
"""

import enum
import html
import importlib
import inspect
import re
import types
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol  # Any: public names are of any type

WIDTH = 88
LONGEST_DEFAULT = 40
TITLES = {"Args": "Arguments"}
SECTION = re.compile(r"^(Args|Attributes|Raises|Yields|Example|Source):\s*(.*)$")
ITEM = re.compile(r"^([*\w.]+(?:, [*\w.]+)*): (.*)$")
NOISE = re.compile(r"['\"~]")
MODULES = re.compile(r"\b(?:[A-Za-z_]\w*\.)+(?=[A-Za-z_])")


class File(Protocol):
    """What is used of a file of mkdocs."""

    src_uri: str


class Page(Protocol):
    """What is used of a page of mkdocs."""

    file: File


def on_page_markdown(markdown: str, page: Page, **_: object) -> str:
    """Append the details of each name to a page of the reference; called by mkdocs for every page."""
    place = Path(page.file.src_uri)
    if place.parent.name != "reference" or place.stem in ("index", "mainspring", "errors"):
        return markdown
    return f"{markdown}\n{details(f'mainspring.{place.stem}')}"


def details(room: str) -> str:
    """Return a chapter for each class and function of a room."""
    module = importlib.import_module(room)
    return "\n".join(chapter(name, getattr(module, name)) for name in sorted(module.__all__))


def chapter(name: str, value: Any) -> str:
    """Return what a public name takes and raises, and a class's methods; nothing for other objects."""
    if not _is_ours(value) or not (inspect.isclass(value) or inspect.isroutine(value)):
        return ""
    parts = [f"## {name}", _code(signature(name, value)), prose(inspect.getdoc(value) or ""), *_options(value)]
    if inspect.isclass(value):
        for member, how in _members(value):
            parts += [_code(signature(member, how)), prose(inspect.getdoc(how) or "")]
    return "\n\n".join(parts) + "\n"


def _options(value: Any) -> Iterator[str]:
    """Yield what the options of a function mean that takes them as `**options: Unpack[...]`."""
    if inspect.isfunction(value) or inspect.ismethod(value):
        for one in inspect.signature(value).parameters.values():
            listed = keywords_of(one.annotation)
            if listed is not None:
                yield f"Options:\n\n```text\n{inspect.getdoc(listed)}\n```"


def _is_ours(value: Any) -> bool:
    return str(getattr(value, "__module__", "")).startswith("mainspring.")


def _code(text: str) -> str:
    return f"```python\n{text}\n```"


def _members(kind: type) -> Iterator[tuple[str, Any]]:
    """Yield a class's public methods and properties that have a docstring of ours, its own first."""
    seen: set[str] = set()
    for base in (one for one in kind.__mro__ if one.__module__.startswith("mainspring.")):
        for name, member in vars(base).items():
            how = getattr(member, "__func__", member)
            if name in seen or name.startswith("_") or not isinstance(how, property | types.FunctionType):
                continue
            seen.add(name)
            if inspect.getdoc(how):
                yield name, how


def signature(name: str, value: Any) -> str:
    """Return how a name is written in a program, an argument a line when it is long."""
    if inspect.isclass(value) and issubclass(value, enum.Enum):
        return "\n".join(f"{name}.{one.name}" for one in value)
    try:
        found = inspect.signature(value)
    except (TypeError, ValueError):
        return name
    waits = "await " if inspect.iscoroutinefunction(value) else ""
    given = found.return_annotation
    gives = "" if inspect.isclass(value) or given in (inspect.Signature.empty, None) else f" -> {plain(given)}"
    arguments = list(_arguments(found))
    whole = f"{waits}{name}({', '.join(arguments)}){gives}"
    if len(whole) <= WIDTH:
        return whole
    return f"{waits}{name}(\n" + "".join(f"    {one},\n" for one in arguments) + f"){gives}"


def _arguments(found: inspect.Signature) -> Iterator[str]:
    marked = False
    for place, one in enumerate(found.parameters.values()):
        if place == 0 and one.name in ("self", "cls"):
            continue
        if one.kind is one.KEYWORD_ONLY and not marked:
            yield "*"
        marked = marked or one.kind in (one.KEYWORD_ONLY, one.VAR_POSITIONAL)
        stars = "*" if one.kind is one.VAR_POSITIONAL else "**" if one.kind is one.VAR_KEYWORD else ""
        kind = "" if one.annotation is one.empty else f": {plain(one.annotation)}"
        default = "" if one.default is one.empty else f" = {_default(one.default)}"
        yield f"{stars}{one.name}{kind}{default}"


def _default(value: Any) -> str:
    if isinstance(value, enum.Enum):
        return f"{type(value).__name__}.{value.name}"
    shown = getattr(value, "__name__", "...") if callable(value) else repr(value)
    return "..." if shown.startswith("<") or len(shown) > LONGEST_DEFAULT else shown


def plain(annotation: Any) -> str:
    """Return a type as a program would write it, without the modules."""
    options = keywords_of(annotation)
    if options is not None:
        return f"Unpack[{options.__name__}]"
    text = annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)
    return MODULES.sub("", text.replace("~", "") if "Literal[" in text else NOISE.sub("", text))


def keywords_of(annotation: Any) -> type | None:
    """Return the TypedDict that lists the options of `**options: Unpack[...]`, None for other annotations."""
    inner = typing.get_args(annotation)
    return inner[0] if typing.get_origin(annotation) is typing.Unpack and inner else None


def prose(text: str) -> str:
    """Return a docstring as Markdown: its sections as lists, its examples as code."""
    done: list[str] = []
    for title, lines in _sections(text.splitlines()):
        if title == "":
            done.append(_escaped("\n".join(lines)))
        elif title == "Example":
            done.append(_code(inspect.cleandoc("\n".join(lines))))
        else:
            items = _items(inspect.cleandoc("\n".join(lines)).splitlines())
            done.append(f"{TITLES.get(title, title)}:\n\n" + "\n".join(items))
    return "\n\n".join(done)


def _sections(lines: list[str]) -> Iterator[tuple[str, list[str]]]:
    title, held = "", list[str]()
    for line in lines:
        head = SECTION.match(line)
        if head is not None or (title and line and not line.startswith(" ")):
            yield title, held
            title, held = ("", [line]) if head is None else (head[1], [head[2]] if head[2] else [])
        else:
            held.append(line)
    yield title, held


def _items(lines: list[str]) -> Iterator[str]:
    """Yield a list entry for each `name: text`; what is indented below it belongs to it."""
    entry = ""
    for line in lines:
        item = ITEM.match(line)
        if item is not None or not line.startswith(" "):
            if entry:
                yield entry
            entry = f"- `{item[1]}`: {_escaped(item[2])}" if item is not None else f"- {_escaped(line)}"
        else:
            entry += f" {_escaped(line.strip())}"
    if entry:
        yield entry


def _escaped(text: str) -> str:
    """Return text whose angle brackets and stars outside of code are shown as they are."""
    parts = re.split(r"(`[^`]*`)", text)
    return "".join(one if one.startswith("`") else html.escape(one, quote=False).replace("*", r"\*") for one in parts)
