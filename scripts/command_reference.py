"""What the command `mainspring` takes, as Markdown, read from the command itself; `scripts/reference.py` uses it."""

from collections.abc import Iterator, Sequence
from typing import Any  # Any: commands are typer's, which gives their parameters no public types

OF_EVERY_PROGRAM = {"--help", "--install-completion", "--show-completion"}


def commands_as_markdown() -> str:
    """Return a chapter for each command, after what may stand before all of them."""
    import typer

    from mainspring.cli._main import cli

    root: Any = typer.main.get_command(cli)
    common = "\n".join(_options(root, typer.Context(root)))
    return "\n\n".join([f"## Before every command\n\n{common}", *_chapters("mainspring", root)]) + "\n"


def _chapters(name: str, group: Any) -> Iterator[str]:
    for word, command in sorted(group.commands.items()):
        if hasattr(command, "commands"):
            yield from _chapters(f"{name} {word}", command)
        else:
            yield _chapter(f"{name} {word}", command)


def _chapter(name: str, command: Any) -> str:
    import typer

    context = typer.Context(command)
    usage = [one for one in command.collect_usage_pieces(context) if one != "[OPTIONS]"]
    options = "\n".join(_options(command, context))
    text = " ".join((command.help or "").split())
    return "\n\n".join(one for one in (f"## {_words(name, usage)}", text, options) if one)


def _options(command: Any, context: Any) -> Iterator[str]:
    records = [one.get_help_record(context) for one in command.params if one.param_type_name == "option"]
    for names, text in filter(None, records):
        if names not in OF_EVERY_PROGRAM:
            yield f"- `{names}` {' '.join(text.split())}".rstrip()


def _words(name: str, usage: Sequence[str]) -> str:
    """Return a command as it is typed: what must be given bare, what may be in brackets."""
    return " ".join([name, *(one.removeprefix("{").removesuffix("}") for one in usage)])
