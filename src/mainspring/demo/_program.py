"""The demo's program: both backfills over the year, the totals, and then the schedule until it is stopped."""

import asyncio
import shutil
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

from rich.console import Console

from mainspring.base import current_clock
from mainspring.demo._board import running_board
from mainspring.demo._flight_file import find_archive
from mainspring.demo._jobs import DATABASE, ZONE, FlightsApi, make_app, microseconds
from mainspring.demo._progress import make_display
from mainspring.demo._report import Figures, Report, count_rows, load_figures, save_figures
from mainspring.demo._settings import alert
from mainspring.errors import InvalidArgumentError
from mainspring.jobs import Backfill, BackfillProgress, JobApp

FIRST_DAY: Final = date(2013, 1, 1)
YEAR: Final = 365  # days
_PARALLEL: Final = {"load_flights": 64, "daily_delays": 8}
_LOOK_INTERVAL: Final = 0.1


@dataclass(frozen=True, slots=True)
class Asked:
    """What the command line asked for."""

    state: Path
    days: int = YEAR
    once: bool = False
    fresh: bool = False
    json: bool = False
    seed: int = 2013

    def __post_init__(self) -> None:
        if not 1 <= self.days <= YEAR:
            raise InvalidArgumentError(argument="--days", value=self.days, expected=f"1 to {YEAR}")

    @property
    def range(self) -> tuple[datetime, datetime]:
        """The instants between which it loads: midnights in the airports' zone."""
        ends = (FIRST_DAY, FIRST_DAY + timedelta(days=self.days))
        start, end = (datetime.combine(day, time(), ZoneInfo(ZONE)).astimezone(UTC) for day in ends)
        return start, end


async def run_demo(asked: Asked, console: Console) -> tuple[Report, int]:
    """Run the demo; return what it ends with, and how many intervals failed.

    Raises:
        InvalidArgumentError: the state directory holds something else, and was to be deleted.
        MissingExtraError: the flights are not installed.
        StorageError: the database cannot be used.
    """
    find_archive()  # here, for the API is a process that would be started again and again without them
    prepare(asked)
    began = current_clock().monotonic()
    api = FlightsApi(asked.state, seed=asked.seed)
    app = make_app(asked.state, api)
    await app.open()
    try:
        tally = _Tally(asked.state, api)
        ended = await _backfill_all(app, asked, console, tally)
        report = await _report(app, api, tally, asked, ended, current_clock().monotonic() - began)
        failed = sum(one.failed + one.cancelled for one in ended)
        _tell(report, failed, asked, console)
        if failed:
            await alert(f"mainspring demo: {failed:,} intervals failed", console)
        if not asked.once and not failed:
            await _keep_running(app, asked, console)
    finally:
        await app.close()
    return report, failed


def prepare(asked: Asked) -> None:
    """Make the state directory, an empty one when that is asked for; never deletes what is not the demo's.

    Raises:
        InvalidArgumentError: it holds something else, and was to be deleted, or it cannot be made.
    """
    try:
        _make_state(asked)
    except OSError as error:
        raise InvalidArgumentError(
            argument="--state",
            value=str(asked.state),
            expected=f"a directory that can be made; {error.strerror}: {error.filename}",
            hint="choose another directory",
        ) from error


def _make_state(asked: Asked) -> None:
    if asked.fresh and asked.state.exists():
        if any(asked.state.iterdir()) and not (asked.state / DATABASE).exists():
            raise InvalidArgumentError(
                argument="--state",
                value=str(asked.state),
                expected="a directory that the demo has made, because --fresh deletes it",
                hint="choose another directory, or leave --fresh out",
            )
        shutil.rmtree(asked.state)
    for folder in reversed((asked.state, *asked.state.parents)):  # parents=True would leave the others open to all
        if not folder.exists():
            folder.mkdir(mode=0o700, exist_ok=True)
    asked.state.mkdir(exist_ok=True)  # says so if it is no directory


class _Tally:
    """Adds what this run sees to the figures of those before, and keeps the sum where a kill cannot reach it."""

    def __init__(self, state: Path, api: FlightsApi) -> None:
        self._state = state
        self._api = api
        self._before = self._kept = load_figures(state)

    async def keep(self, runs_per_second: float | None = None) -> Figures:
        """Save the figures if they have changed; return them."""
        before, stats = self._before, await self._api.stats()
        figures = Figures(
            runs_per_second=self._kept.runs_per_second if runs_per_second is None else runs_per_second,
            retries=before.retries + self._api.retries,
            rejected=before.rejected + stats.rejected,
            breaker_opened=before.breaker_opened + self._api.opened_count,
        )
        if figures != self._kept:
            save_figures(self._state, figures)
            self._kept = figures
        return figures


async def _backfill_all(app: JobApp, asked: Asked, console: Console, tally: _Tally) -> list[BackfillProgress]:
    """Run what is still missing of both jobs; runs that a killed demo left are joined, not made again."""
    start, end = asked.range
    parallel = _PARALLEL.items()
    backfills = [await app.backfill(job, start, end, max_parallel=most) for job, most in parallel]
    return await _watch(backfills, console, tally)


async def _ends(backfills: list[Backfill]) -> list[BackfillProgress]:
    return [await one.wait() for one in backfills]


async def _watch(backfills: list[Backfill], console: Console, tally: _Tally) -> list[BackfillProgress]:
    """Wait for the end of all, showing how far they are and keeping what was seen."""
    whole = asyncio.ensure_future(_ends(backfills))
    display = make_display(console)
    try:
        while not (await asyncio.wait({whole}, timeout=_LOOK_INTERVAL))[0]:
            display.show(await _look(backfills))
            await tally.keep()
        return await whole
    finally:
        display.close()
        whole.cancel()


async def _look(backfills: list[Backfill]) -> dict[str, BackfillProgress]:
    return {one.job_id: await one.progress() for one in backfills}


async def _report(
    app: JobApp, api: FlightsApi, tally: _Tally, asked: Asked, ended: Sequence[BackfillProgress], seconds: float
) -> Report:
    stats = await api.stats()
    runs = sum(one.succeeded for one in ended)
    figures = await tally.keep(round(runs / seconds, 1) if runs else None)
    flights, days = count_rows(asked.state, *asked.range)
    return Report(
        intervals=await _count_hours(app, asked),
        flights=flights,
        days=days,
        seconds=round(seconds, 3),
        engine_seconds=round(max(0.0, seconds - stats.minimum_seconds), 3),
        runs_per_second=figures.runs_per_second,
        retries=figures.retries,
        rejected=figures.rejected,
        breaker_opened=figures.breaker_opened,
    )


async def _count_hours(app: JobApp, asked: Asked) -> int:
    """Return how many hours the store's done-set covers."""
    start, end = (microseconds(instant) for instant in asked.range)
    done = await app.store.done("load_flights", start, end)
    covered = sum(min(one.end, end) - max(one.start, start) for one in done if one.state == "succeeded")
    return covered // microseconds(datetime(1970, 1, 1, 1, tzinfo=UTC))


def _tell(report: Report, failed: int, asked: Asked, console: Console) -> None:
    lines = [
        f"{report.intervals:,} hours, {report.flights:,} flights and {report.days:,} days are in "
        f"{asked.state / DATABASE}",
        f"{report.seconds:.1f} s, of which {report.engine_seconds:.1f} s beyond what the API itself takes; "
        f"{report.runs_per_second:,.0f} runs/s",
        f"{report.retries:,} retries, {report.rejected:,} requests above the API's rate, "
        f"breaker opened {report.breaker_opened} times",
    ]
    if failed:
        lines.append(f"{failed:,} intervals failed: run the same command again")
    console.print("\n".join(lines), highlight=False, soft_wrap=True)


async def _keep_running(app: JobApp, asked: Asked, console: Console) -> None:
    """Run the schedule and the departures board until Ctrl-C or SIGTERM."""
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    numbers = (signal.SIGINT, signal.SIGTERM)
    for number in numbers:
        loop.add_signal_handler(number, stopped.set)
    try:
        async with running_board(asked.state) as board:
            await app.start()
            console.print(f"departures are told at {board}: see `mainspring demo --board`", highlight=False)
            console.print("the schedule runs on; Ctrl-C ends it", highlight=False)
            await stopped.wait()
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)
