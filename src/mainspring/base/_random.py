"""The one source of randomness and of ids: seeded by tests, reseeded in forked children."""

import os
import random  # noqa: TID251
import threading
from collections.abc import Generator
from contextlib import contextmanager
from typing import Final

from mainspring.base._clock import current_clock

_RANDOM_BITS: Final = 74  # of a UUIDv7: 12 beside the version, 62 beside the variant
_MAX_STEP_BITS: Final = 32


class _Source:
    """A generator of random numbers, and the last id that was made from it."""

    __slots__ = ("last_id", "lock", "numbers")

    def __init__(self, seed: int | str | bytes | None) -> None:
        self.numbers = random.Random(seed)
        self.last_id = 0
        self.lock = threading.Lock()

    def next_id(self, milliseconds: int) -> int:
        """Return 48 bits of time and 74 random ones, above every id that this source gave before."""
        candidate = milliseconds << _RANDOM_BITS | self.numbers.getrandbits(_RANDOM_BITS)
        with self.lock:
            if candidate <= self.last_id:
                candidate = self.last_id + 1 + self.numbers.getrandbits(_MAX_STEP_BITS)
            self.last_id = candidate
        return candidate


_system_source = _Source(None)
_source = _system_source


def _reseed_after_fork() -> None:
    """Give a forked child numbers, and ids, of its own; a source that a test seeded stays as it is."""
    _system_source.numbers.seed()
    _system_source.lock = threading.Lock()


os.register_at_fork(after_in_child=_reseed_after_fork)


def current_random() -> random.Random:
    """Return the random numbers of this process: seeded by the system, unless a test replaced them.

    Fit for jitter and sampling, not for secrets. Single draws are safe from any thread.
    """
    return _source.numbers


@contextmanager
def use_random(seed: int | str | bytes) -> Generator[random.Random]:
    """Draw numbers and ids from a fresh source made from `seed` inside the block, in every thread.

    Under the same clock the same seed gives the same numbers and ids.
    """
    global _source
    before = _source
    _source = _Source(seed)
    try:
        yield _source.numbers
    finally:
        _source = before


def first_id_at(us: int) -> str:
    """Return the smallest text of an id that is made at an instant (UTC microseconds)."""
    text = f"{max(0, us) // 1000:012x}"
    return f"{text[:8]}-{text[8:]}"


def new_id() -> str:
    """Return a new UUIDv7 in its canonical text.

    Ids of one process sort as text in the order in which they were made, also when the clock steps back;
    those of several processes sort by their milliseconds. Safe from any thread.

    Source: RFC 9562, sections 5.7 and 6.2 (method 2, monotonic random).
    """
    bits = _source.next_id(int(current_clock().time() * 1000))
    tail = bits & ((1 << 62) - 1) | 0b10 << 62
    head = (bits >> _RANDOM_BITS) << 16 | 0x7000 | bits >> 62 & 0xFFF
    text = f"{head:016x}{tail:016x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
