"""Errors of floor 5: runtime (a program's start, run and stop) and sinks."""

from mainspring.errors._root import MainspringError


class SinkError(MainspringError):
    """Root of what sinks raise."""


class SinkWriteError(SinkError, RuntimeError):
    """A sink did not accept items of this run; the cause is what the last try raised."""

    def __init__(self, *, sink: str, items: int, reason: str, hint: str | None = None) -> None:
        super().__init__(
            f"sink {sink!r} could not write {items} item{'' if items == 1 else 's'}: {reason}",
            hint=hint,
            sink=sink,
            items=items,
            reason=reason,
        )
