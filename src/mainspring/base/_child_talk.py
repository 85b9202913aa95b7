"""What child processes tell their parent beside their answers: log records.

`base` holds the hook, so that the rooms that start children and the room that understands what they say do
not know each other.
"""

from collections.abc import Callable
from typing import Final, Protocol, TypeAlias

Send: TypeAlias = Callable[[bytes], None]
Flush: TypeAlias = Callable[[], None]


class Speaker(Protocol):
    """Set up in a child, before its work: `flush = speaker(send)`. Pickles.

    `send(payload)` brings bytes to the parent, over the frames of whoever started the child; it is called from
    a thread, and waits while the parent does not read. `flush()` is called before each answer and at the end;
    it returns when all that was said before is sent.
    """

    def __call__(self, send: Send) -> Flush:
        """Begin to speak."""
        ...


class ChildTalk:
    """The hook: filled by runtime, asked by whoever starts children."""

    __slots__ = ("listen", "speaker")

    def __init__(self) -> None:
        self.speaker: Callable[[], Speaker | None] = _nobody
        """In the parent, when a child is started: what to call in it; None when nobody would listen."""
        self.listen: Callable[[bytes], None] = _ignore
        """In the parent, with each payload, on its loop, in the context of the work that it belongs to."""


def _nobody() -> None:
    return None


def _ignore(payload: bytes) -> None:
    pass


child_talk: Final = ChildTalk()
