"""Tells people of jobs that have failed for good, are late, or that nobody takes: bounded, and at no run's cost."""

import asyncio
import inspect
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import replace
from typing import Any, Final, Literal, TypeAlias, cast  # Any: what a resource gives may be anything

from mainspring.base import from_us, to_us
from mainspring.concurrency import ThreadPoolExecutor
from mainspring.jobs.engine._alert import Alert, AlertChannel, Alerting, Notifies, check_alert
from mainspring.jobs.engine._definition import JobDefinition
from mainspring.jobs.engine._events import EventStream, JobEvent
from mainspring.jobs.engine._steady import keep_doing
from mainspring.jobs.model import RunState
from mainspring.jobs.stores import JobStore, RunKind, RunRecord, StrandedRow
from mainspring.resilience import timeout as time_limit

log = logging.getLogger(__name__)

ALERT_TIMEOUT: Final = 30.0
"""Seconds that the delivery of one alert may take."""

MOST_WAITING: Final = 100
"""Alerts that wait to be delivered; more are dropped, with a line in the log."""

_AT_ONCE: Final = 4
_LONGEST_PAUSE: Final = 3600.0

Route: TypeAlias = tuple[Alerting, JobDefinition | None]
"""Where an alert goes, and whose resources it names: those of a job, or with None the app's."""


class Alerts:
    """Watches what happens to the runs of an app and delivers alerts, a few at once.

    Args:
        default: where alerts go of jobs that declare nothing, and of jobs that are not known here.
        resource: enters the resource of (job or None, name).
        threads: where functions that are not async run.
    """

    def __init__(
        self,
        store: JobStore,
        definitions: Mapping[str, JobDefinition],
        stream: EventStream,
        *,
        default: Alerting | None,
        resource: Callable[[JobDefinition | None, str], AbstractAsyncContextManager[Any]],  # Any: as above
        threads: ThreadPoolExecutor,
    ) -> None:
        self._store = store
        self._default = default
        self._routes = {job_id: self._route_of(one) for job_id, one in definitions.items()}
        self._definitions = {job_id: one for job_id, one in definitions.items() if one.sla or self._routes[job_id]}
        self._stream = stream
        self._resource = resource
        self._threads = threads
        self._ended_late: dict[str, list[str]] = {}
        self._next_look: dict[str, int] = {job_id: 0 for job_id, one in self._definitions.items() if one.sla}
        self._waiting: asyncio.Queue[tuple[Route, Alert]] = asyncio.Queue(MOST_WAITING)
        self._taken = asyncio.Event()
        self._wake = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._end: Callable[[], None] | None = None

    def start(self, *, watch: bool = True) -> None:
        """Begin to listen and deliver, and to watch for late runs; nothing is done for an app without alerts."""
        if not self._definitions and self._default is None:
            return
        if not watch:
            self._next_look.clear()
        self._end = self._stream.listen(self._happened)
        watching = keep_doing(self._look, self._wake, what="look for late runs")
        self._tasks = [asyncio.create_task(watching, name="mainspring-late"), *self._deliverers()]

    def _route_of(self, definition: JobDefinition | None) -> Route | None:
        if definition is not None and definition.alert is not None:
            return None if definition.alert is False else (definition.alert, definition)
        return None if self._default is None else (self._default, None)

    async def stranded(self, rows: Sequence[StrandedRow]) -> None:
        """Tell of jobs whose runs no living node takes, unless one was told of the same oldest run.

        Waits while too many alerts do: nothing is noted as told before there is room for it.

        Raises:
            StorageError: the store does not answer; what was not told then is told by another call.
        """
        routes = {row.job_id: self._route_to(row.job_id) for row in rows}
        oldest = {row.oldest_run: row for row in rows if routes[row.job_id] is not None}
        if not oldest:
            return
        counts = {(job_id, queue): count for job_id, queue, count in await self._store.queue_counts()}
        left = list(oldest)
        while left:
            now = await self._room()
            noted, left = await self._store.note_stranded(left[:now]), left[now:]
            for record in noted:
                row = oldest[record.run_id]
                self._stream.publish("stranded", record)
                alert = _stranded_alert(row, record, count=counts.get((row.job_id, row.queue), 1))
                await self._waiting.put((cast("Route", routes[row.job_id]), alert))  # cast: those without are left out

    async def _room(self) -> int:
        """Wait until an alert can wait; return how many can. What is noted is never told again."""
        while self._waiting.full():
            self._taken.clear()
            await self._taken.wait()
        return MOST_WAITING - self._waiting.qsize()

    def _deliverers(self) -> "list[asyncio.Task[None]]":
        return [asyncio.create_task(self._deliver(), name="mainspring-alerts") for _ in range(_AT_ONCE)]

    async def close(self, *, timeout: float) -> None:
        """Deliver what waits, for `timeout` seconds at most, and end."""
        if self._end is not None:
            self._end()
            self._end = None
            if all(task.done() for task in self._tasks):  # by a loop that is shut down before the app
                self._tasks = self._deliverers()
            with suppress(TimeoutError):
                async with time_limit(timeout):
                    await self._waiting.join()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if not self._waiting.empty():
            log.error("%d alerts were not delivered before the end", self._waiting.qsize())

    def _happened(self, event: JobEvent) -> None:
        record = event.record
        if not record.state.terminal or event.name == "late":
            return
        definition = self._definitions.get(record.job_id)
        if record.state is RunState.FAILED:
            self._put(definition, "failed", record)
        if definition is None or definition.sla is None or record.job_id not in self._next_look:
            return
        if record.kind is RunKind.SCHEDULE and record.state is not RunState.SKIPPED:
            due = (record.scheduled_at or record.created_at) + int(definition.sla * 1e6)
            if (record.finished_at or 0) > due:
                self._ended_late.setdefault(record.job_id, []).append(record.run_id)
                self._wake.set()

    async def _look(self) -> float:
        """Note which runs have become late; asked when the next one could, and when one has ended late."""
        now = self._store.now()
        for job_id, at in self._next_look.items():
            if at > now and job_id not in self._ended_late:
                continue
            definition = self._definitions[job_id]
            sla = int((definition.sla or 0) * 1e6)
            ended = tuple(self._ended_late.get(job_id, ()))
            for record in await self._store.note_late(job_id, scheduled_before=now - sla, ended=ended):
                self._stream.publish("late", record)
                self._put(definition, "late", record)
            later = self._ended_late.pop(job_id, [])[len(ended) :]
            if later:  # they came while the store was asked, and have set `_wake`
                self._ended_late[job_id] = later
            self._next_look[job_id] = _next_late(definition, now - sla) + sla
        soonest = min(self._next_look.values(), default=now + int(_LONGEST_PAUSE * 1e6))
        return min(max((soonest - self._store.now()) / 1e6, 0.001), _LONGEST_PAUSE)

    def _route_to(self, job_id: str) -> Route | None:
        return self._routes[job_id] if job_id in self._routes else self._route_of(None)

    def _put(self, definition: JobDefinition | None, kind: Literal["failed", "late"], record: RunRecord) -> None:
        self._enqueue(self._route_to(record.job_id), _alert_of(definition, kind, record))

    def _enqueue(self, route: Route | None, alert: Alert) -> None:
        if route is None:
            return
        try:
            self._waiting.put_nowait((route, alert))
        except asyncio.QueueFull:
            log.error("an alert is dropped, %d others wait: %s", MOST_WAITING, alert.text)

    async def _deliver(self) -> None:
        while True:
            route, alert = await self._waiting.get()
            self._taken.set()
            sending = asyncio.create_task(self._try(route, alert), name="mainspring-alert")  # it may cancel its own
            try:
                await asyncio.wait((sending,))
            except asyncio.CancelledError:
                sending.cancel()
                await asyncio.gather(sending, return_exceptions=True)
                if sending.cancelled():
                    self._enqueue(route, alert)  # for those who take over
                raise
            finally:
                self._waiting.task_done()
            if sending.cancelled():
                log.error("an alert was not delivered, somebody cancelled it: %s", alert.text)

    async def _try(self, route: Route, alert: Alert) -> None:
        try:
            async with time_limit(ALERT_TIMEOUT):
                await self._send(route, alert)
        except (asyncio.CancelledError, KeyboardInterrupt, GeneratorExit):  # the end, Ctrl-C, a task thrown away
            raise
        except BaseException as error:  # supervisor: whatever it raises must harm nothing else
            log.error("an alert was not delivered: %s", alert.text, exc_info=error)

    async def _send(self, route: Route, alert: Alert) -> None:
        given, owner = route
        channel, target = (given.channel, given.to) if isinstance(given, AlertChannel) else ("alerts", given)
        if isinstance(target, str):
            async with self._resource(owner, target) as found:
                await self._call(found, channel, alert)
        else:
            await self._call(target, channel, alert)

    async def _call(self, target: object, channel: str, alert: Alert) -> None:
        if isinstance(target, Notifies):
            await target.notify(channel, alert.text)
            return
        check_alert(target)
        function = cast("Callable[[Alert], object]", target)  # cast: checked where the job was declared
        if inspect.iscoroutinefunction(function):
            await function(alert)
            return
        result = await self._threads.run(function, alert)
        if inspect.isawaitable(result):
            waits: Awaitable[object] = result
            await waits


def _next_late(definition: JobDefinition, before: int) -> int:
    """Return the first fire time after `before`: the next one that can be late."""
    schedule = definition.schedule
    fire = None if schedule is None else schedule.next_fire(from_us(before))
    return before + int(_LONGEST_PAUSE * 1e6) if fire is None else to_us(fire)


def _stranded_alert(row: StrandedRow, record: RunRecord, *, count: int) -> Alert:
    alert = _alert_of(None, "stranded", record)
    return replace(alert, run_count=count, since=from_us(row.oldest_at), queue=row.queue)


def _alert_of(
    definition: JobDefinition | None, kind: Literal["failed", "late", "stranded"], record: RunRecord
) -> Alert:
    return Alert(
        kind=kind,
        job_id=record.job_id,
        run_id=record.run_id,
        state=record.state,
        attempt=record.attempt,
        scheduled_at=from_us(record.scheduled_at),
        data_interval=record.interval("UTC" if definition is None else definition.timezone),
        error=record.error,
        sla=None if definition is None else definition.sla,
    )
