"""How long the records of ended runs are kept. The done-set is kept for ever: what failed stays known as failed."""

from dataclasses import dataclass, field
from typing import Final

from mainspring.errors import InvalidArgumentError
from mainspring.jobs.model._states import RunState

MOST_KEPT: Final = 100_000
"""Ended runs of one state that each job keeps unless it is said otherwise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Keep:
    """Which ended runs of one state stay: of each job the newest `count`, none older than `age` seconds.

    None is no bound. Age counts from the end of the run.

    Raises:
        InvalidArgumentError: a bound is below 0.
    """

    count: int | None = None
    age: float | None = None

    def __post_init__(self) -> None:
        for name, value in (("count", self.count), ("age", self.age)):
            if value is not None and not value >= 0:
                raise InvalidArgumentError(argument=name, value=value, expected="at least 0, or None for no bound")


def _most() -> Keep:
    return Keep(count=MOST_KEPT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    """Which ended runs stay, by the state in which they ended; unless given, the newest 100 000 of each job."""

    succeeded: Keep = field(default_factory=_most)
    failed: Keep = field(default_factory=_most)
    cancelled: Keep = field(default_factory=_most)
    skipped: Keep = field(default_factory=_most)

    def of(self, state: RunState) -> Keep:
        """Return the bounds for a terminal state."""
        kept: Keep = getattr(self, state.value)
        return kept
