"""How items travel to a sink that takes batches: bounds, retries, and what happens when they are used up."""

from dataclasses import dataclass, field
from typing import Final, Literal

from mainspring.base import Backoff
from mainspring.errors import InvalidArgumentError

SPOOL_BYTES: Final = 256 << 20  # that may wait on disk for the sinks of a program
DEFAULT_RETRY: Final = Backoff(0.1, maximum=5.0, jitter="full", max_tries=5)
SPOOL_RETRY: Final = Backoff(1.0, maximum=60.0, jitter="full")


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """The terms on which a sink gets its batches.

    Args:
        max_count: items in a batch, >= 1.
        max_bytes: bytes in a batch, about; a larger item travels alone.
        max_seconds: age at which a batch is written though it is not full.
        max_queue: items that may wait; whoever emits waits beyond.
        max_queue_bytes: bytes that may wait, about.
        retry: pauses between the attempts to write a batch; its `max_tries` ends them.
        on_failure: what happens to a batch after the last attempt. "fail": its items are tried once more run by run,
            without pauses, and the runs whose own items fail too do so; "spool": it is kept on disk and written
            later, and the runs succeed.
        spool_retry: pauses between the attempts to write what is on disk.
        spool_tries: attempts from the disk, after which items become dead letters, >= 1.

    Raises:
        InvalidArgumentError: a value is outside its range.
    """

    max_count: int = 500
    max_bytes: int = 1 << 20
    max_seconds: float = 0.5
    max_queue: int = 10_000
    max_queue_bytes: int = 16 << 20
    retry: Backoff = field(default=DEFAULT_RETRY)
    on_failure: Literal["fail", "spool"] = "fail"
    spool_retry: Backoff = field(default=SPOOL_RETRY)
    spool_tries: int = 20

    def __post_init__(self) -> None:
        for name in ("max_count", "max_bytes", "max_queue", "max_queue_bytes", "spool_tries"):
            if getattr(self, name) < 1:
                raise InvalidArgumentError(argument=name, value=getattr(self, name), expected="at least 1")
        if not self.max_seconds >= 0:
            raise InvalidArgumentError(argument="max_seconds", value=self.max_seconds, expected="at least 0")
        if self.on_failure not in ("fail", "spool"):
            raise InvalidArgumentError(argument="on_failure", value=self.on_failure, expected="'fail' or 'spool'")
