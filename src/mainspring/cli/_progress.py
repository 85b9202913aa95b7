"""How a backfill's progress looks: a bar on a terminal, a plain line now and then elsewhere."""

from typing import Final, Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from mainspring.base import current_clock
from mainspring.jobs import BackfillProgress

_LINE_INTERVAL: Final = 5.0


class Meter(Protocol):
    """Shows how far one backfill is."""

    def show(self, progress: BackfillProgress) -> None:
        """Show the present state."""
        ...

    def close(self) -> None:
        """Leave the terminal as it was."""
        ...


class Bar:
    """A bar with the time to go."""

    def __init__(self, console: Console) -> None:
        name = TextColumn("{task.description}", markup=False)
        self._bar = Progress(name, BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), console=console)
        self._task = self._bar.add_task("backfill")
        self._bar.start()

    def show(self, progress: BackfillProgress) -> None:
        """Move the bar."""
        self._bar.update(self._task, description=progress.job_id, completed=progress.ended, total=progress.total)

    def close(self) -> None:
        """End the bar."""
        self._bar.stop()


class Lines:
    """A line every few seconds."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._next = current_clock().monotonic() + _LINE_INTERVAL

    def show(self, progress: BackfillProgress) -> None:
        """Write a line when it is time for one."""
        now = current_clock().monotonic()
        if now < self._next:
            return
        self._next = now + _LINE_INTERVAL
        about = "" if progress.exact else "~"
        line = f"{progress.job_id} {progress.ended}/{about}{progress.total}, {progress.rate:.0f}/s"
        self._console.print(line, highlight=False, soft_wrap=True, markup=False, emoji=False)

    def close(self) -> None:
        """Nothing to leave."""


def make_meter(console: Console) -> Meter:
    """Return what fits the console."""
    return Bar(console) if console.is_terminal else Lines(console)
