"""The states of a run and the one table of legal transitions."""

from collections.abc import Mapping
from enum import StrEnum

from mainspring.base import quicken


class RunState(StrEnum):
    """Where a run stands; terminal states are never left (a retry makes the next generation)."""

    SCHEDULED = "scheduled"  # its time has not come
    WAITING = "waiting"  # for the intervals it needs
    AVAILABLE = "available"  # any node may claim it
    RUNNING = "running"  # a node holds its fence
    RETRYING = "retrying"  # an attempt failed, the next one has a time
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    SKIPPED = "skipped"

    @property
    def terminal(self) -> bool:
        """True when the run has ended for good."""
        return not TRANSITIONS[self]


quicken(RunState)

_ENDED = frozenset({RunState.CANCELLED, RunState.SKIPPED, RunState.FAILED})

TRANSITIONS: Mapping[RunState, frozenset[RunState]] = {
    RunState.SCHEDULED: frozenset({RunState.AVAILABLE, RunState.WAITING, RunState.RUNNING}) | _ENDED,
    RunState.WAITING: frozenset({RunState.AVAILABLE}) | _ENDED,
    RunState.AVAILABLE: frozenset({RunState.RUNNING, RunState.WAITING}) | _ENDED,
    RunState.RUNNING: frozenset({RunState.SUCCEEDED, RunState.RETRYING, RunState.AVAILABLE}) | _ENDED,
    RunState.RETRYING: frozenset({RunState.RUNNING}) | _ENDED,
    RunState.SUCCEEDED: frozenset(),
    RunState.FAILED: frozenset(),
    RunState.CANCELLED: frozenset(),
    RunState.SKIPPED: frozenset(),
}
