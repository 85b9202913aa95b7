"""How the demo shows that it goes on: bars on a terminal, a plain line now and then elsewhere."""

from collections.abc import Mapping
from typing import Final, Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from mainspring.base import current_clock
from mainspring.jobs import BackfillProgress

_LINE_INTERVAL: Final = 5.0


class Display(Protocol):
    """Shows how far backfills are."""

    def show(self, progress: Mapping[str, BackfillProgress]) -> None:
        """Show the present state, by job."""
        ...

    def close(self) -> None:
        """Leave the terminal as it was."""
        ...


class Bars:
    """A bar for each job."""

    def __init__(self, console: Console) -> None:
        self._tasks: dict[str, TaskID] = {}
        self._bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(),
            console=console,
        )
        self._bars.start()

    def show(self, progress: Mapping[str, BackfillProgress]) -> None:
        """Move the bars."""
        for job_id, one in progress.items():
            if job_id not in self._tasks:
                self._tasks[job_id] = self._bars.add_task(job_id, rate="")
            rate = f"{one.rate:.0f}/s"
            self._bars.update(self._tasks[job_id], completed=one.ended, total=one.total, rate=rate)

    def close(self) -> None:
        """End the bars."""
        self._bars.stop()


class Lines:
    """A line every few seconds."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._next = current_clock().monotonic() + _LINE_INTERVAL

    def show(self, progress: Mapping[str, BackfillProgress]) -> None:
        """Write a line when it is time for one."""
        now = current_clock().monotonic()
        if now < self._next:
            return
        self._next = now + _LINE_INTERVAL
        parts = (f"{job_id} {one.ended}/{one.total}" for job_id, one in progress.items())
        self._console.print(", ".join(parts), highlight=False, soft_wrap=True)

    def close(self) -> None:
        """Nothing to leave."""


def make_display(console: Console) -> Display:
    """Return what fits the console."""
    return Bars(console) if console.is_terminal else Lines(console)
