"""Completion of commands in prompts of prompt_toolkit (extra `cli`)."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from mainspring.base import load_extra
from mainspring.tools._dispatch import Dispatch
from mainspring.tools._dispatch_ops import documentation

if TYPE_CHECKING:
    from prompt_toolkit.completion import CompleteEvent, Completer, Completion
    from prompt_toolkit.document import Document


def dispatch_completer(dispatch: Dispatch) -> "Completer":
    """Return a completer for a `PromptSession`: commands, each with the first line of its help.

    Raises:
        MissingExtraError: prompt_toolkit is not installed.
    """
    load_extra("prompt_toolkit", feature="completion of commands", extra="cli")
    from prompt_toolkit.completion import Completer, Completion

    class DispatchCompleter(Completer):
        def get_completions(self, document: "Document", complete_event: "CompleteEvent") -> "Iterable[Completion]":
            line = document.text_before_cursor
            for name in dispatch.complete(line):
                operation = dispatch.operation(name)
                about = "" if operation is None else documentation(operation).partition("\n")[0]
                yield Completion(name, start_position=-len(line.lstrip()), display_meta=about)

    return DispatchCompleter()
