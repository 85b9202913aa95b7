"""What is wholly done, counted in order: the heart of at-least-once. Pure.

A message is done when its callback has returned and every message that came of it is done as well. Each has a
token; the ledger of an edge counts the tokens that are done without a gap, and that count is what travels back
as the acknowledgement. So a sender keeps a message until nothing that came of it can be lost any more.
"""

from collections import deque
from collections.abc import Callable
from contextvars import ContextVar


class Token:
    """One message that is being worked on: done when nothing holds it."""

    __slots__ = ("_ledger", "holds")

    def __init__(self, ledger: "Ledger") -> None:
        self._ledger = ledger
        self.holds = 1

    def release(self) -> None:
        """Take one hold away."""
        self.holds -= 1
        if not self.holds:
            self._ledger.advance()


class Ledger:
    """Tokens in the order of their messages.

    Args:
        on_advance: called with the new count of messages that are done, from the first one without a gap.
    """

    __slots__ = ("_on_advance", "_tokens", "done_count")

    def __init__(self, on_advance: Callable[[int], None]) -> None:
        self._on_advance = on_advance
        self._tokens: deque[Token] = deque()
        self.done_count = 0

    @property
    def open_count(self) -> int:
        """Messages that are not counted as done."""
        return len(self._tokens)

    def open(self) -> Token:
        """Return the token of the next message, held once."""
        token = Token(self)
        self._tokens.append(token)
        return token

    def advance(self) -> None:
        """Count what is done at the front."""
        tokens, before = self._tokens, self.done_count
        while tokens and tokens[0].holds <= 0:
            tokens.popleft()
            self.done_count += 1
        if self.done_count != before:
            self._on_advance(self.done_count)


current_token: ContextVar[Token | None] = ContextVar("mainspring-dataflow-token", default=None)
"""The message that the running callback works on; tasks that it starts inherit it."""
