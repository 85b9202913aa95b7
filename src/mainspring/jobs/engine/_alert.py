"""What an `alert=` is told, and where it can go."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, Protocol, runtime_checkable  # Any: a message is whatever a channel takes

from mainspring.errors import InvalidArgumentError
from mainspring.jobs.model import DataInterval, RunState


@runtime_checkable
class Notifies(Protocol):
    """A channel to people, as `mainspring.tools.Notifier`."""

    async def notify(self, channel: str, msg: Any, /) -> object:  # Any: a text here, more elsewhere
        """Send a message."""
        ...


@dataclass(frozen=True, slots=True)
class AlertChannel:
    """A channel of a notifier, or of the resource that has this name: `alert=AlertChannel(notifier, "ops")`."""

    to: Notifies | str
    channel: str = "alerts"


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """What an `alert=` is called with. No field of it holds a secret that the run's record does not.

    "stranded" tells of the runs of a job that no living node takes from the queue `queue`: the run is the oldest of
    them, `run_count` how many wait there, `since` when the first of them could have begun.
    """

    kind: Literal["failed", "late", "stranded"]
    job_id: str
    run_id: str
    state: RunState
    attempt: int
    scheduled_at: datetime | None
    data_interval: DataInterval | None
    error: str | None
    sla: float | None
    run_count: int = 1
    since: datetime | None = None
    queue: str | None = None

    @property
    def text(self) -> str:
        """One sentence for people."""
        if self.kind == "stranded":
            return self._stranded
        of = "" if self.data_interval is None else f" {self.data_interval}"
        if self.kind == "late":
            return f"{self.job_id}{of} is late: it had {self.sla:g} s and is {self.state} (run {self.run_id})"
        tries = "1 attempt" if self.attempt == 1 else f"{self.attempt} attempts"
        return f"{self.job_id}{of} failed after {tries}: {self.error} (run {self.run_id})"

    @property
    def _stranded(self) -> str:
        waits = "1 run of it waits" if self.run_count == 1 else f"{self.run_count:,} runs of it wait"
        return (
            f"{self.job_id} in queue {self.queue!r} is taken by no node that runs: {waits} there,"
            f" since {self.since:%Y-%m-%d %H:%M:%SZ};"
            f" bring the job back (a renamed one with was=), serve the queue, or cancel the runs (run {self.run_id})"
        )


Alerting = Callable[[Alert], object] | Notifies | AlertChannel | str
"""What `alert=` takes: a function, async or not, a notifier, one of its channels, or the name of a resource."""


def check_alert(alert: object) -> None:
    """Refuse what no alert can be sent to.

    Raises:
        InvalidArgumentError: it is no function, notifier, channel or name.
    """
    if not (alert is None or callable(alert) or isinstance(alert, str | AlertChannel | Notifies)):
        expected = "a function, a Notifier, an AlertChannel or the name of a resource"
        raise InvalidArgumentError(argument="alert", value=alert, expected=expected)


def check_resource(alert: object, known: Collection[str], *, owner: str) -> None:
    """Refuse an alert that goes to a resource which nobody offers.

    Raises:
        InvalidArgumentError: it is the name of none that is `known`.
    """
    target = alert.to if isinstance(alert, AlertChannel) else alert
    if isinstance(target, str) and target not in known:
        expected = f"a resource of {owner}: {', '.join(known) or 'it has none'}"
        raise InvalidArgumentError(argument="alert", value=target, expected=expected)
