"""Completion in prompts of prompt_toolkit."""

import sys

import pytest

from mainspring.errors import MissingExtraError
from mainspring.tools import Dispatch, dispatch_completer


@pytest.mark.extras
def test_commands_complete_with_their_help() -> None:
    from prompt_toolkit.completion import CompleteEvent
    from prompt_toolkit.document import Document

    commands = Dispatch({"later": None})

    @commands.command()
    async def list_orders() -> None:
        """List the orders.

        All of them.
        """

    completer = dispatch_completer(commands)

    def choices(line: str) -> list[tuple[str, str, int]]:
        found = completer.get_completions(Document(line), CompleteEvent())
        return [(one.text, one.display_meta_text, one.start_position) for one in found]

    assert [("list-orders", "List the orders.", -1), ("later", "", -1)] == sorted(choices("l"), reverse=True)
    assert [("list-orders", "List the orders.", -2)] == choices("  li")
    assert [] == choices("list-orders ")


def test_a_missing_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "prompt_toolkit", None)
    with pytest.raises(MissingExtraError, match="completion of commands"):
        dispatch_completer(Dispatch())
