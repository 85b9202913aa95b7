"""What handlers have said so far goes to the store with the heartbeat: others can read it while they run.

Most runs end before the first report, and cost nothing here. Those that go on share what one report may hold: whoever
was reported longest ago comes first.
"""

from collections.abc import Collection
from heapq import nsmallest
from typing import Final

from mainspring.base import current_clock
from mainspring.jobs.engine._execution import Execution, Said
from mainspring.jobs.stores import JobStore, Report

MOST_RUNS: Final = 256  # in one report
MOST_BYTES: Final = 1_048_576  # of lines in one report; those with which it is exceeded are still among them
_NOTHING: Final[tuple[float, Said]] = (0.0, (0, None))


class Reporter:
    """Reports for the runs of one node."""

    def __init__(self, store: JobStore) -> None:
        self._store = store
        self._told: dict[Execution, tuple[float, Said]] = {}  # when, and what had been said then

    async def report(self, running: Collection[Execution]) -> None:
        """Tell the store what these handlers have said since it was last told.

        Raises:
            StorageError: the store did not take it; the next report brings it again.
        """
        self._told = {one: told for one, told in self._told.items() if one in running}
        news = [one for one in running if one.said != self._before(one)[1]]
        if not news:
            return
        now = current_clock().monotonic()
        told: dict[Execution, tuple[float, Said]] = {}
        reports: list[Report] = []
        size = 0
        for execution in nsmallest(MOST_RUNS, news, key=lambda one: self._before(one)[0]):
            told[execution] = (now, execution.said)
            reports.append(self._report_of(execution))
            size += len(reports[-1].log or b"")
            if size > MOST_BYTES:
                break
        await self._store.report(reports)
        self._told.update(told)

    def _before(self, execution: Execution) -> tuple[float, Said]:
        return self._told.get(execution, _NOTHING)

    def _report_of(self, execution: Execution) -> Report:
        (count, progress), (before_count, before_progress) = execution.said, self._before(execution)[1]
        record = execution.record
        return Report(
            run_id=record.run_id,
            fence=record.fence,
            attempt=record.attempt,
            log=None if count == before_count else execution.lines(),
            progress=None if progress is before_progress else progress,
        )
