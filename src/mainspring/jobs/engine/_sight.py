"""What can be seen of an app from outside while it runs, or of what it would use if it ran. Nothing here waits."""

from abc import ABC
from collections.abc import Sequence
from typing import TYPE_CHECKING

from mainspring.base import current_clock
from mainspring.jobs.engine._declarations import Declarations
from mainspring.jobs.engine._events import EventStream, Subscription
from mainspring.jobs.engine._metrics import RunMetrics
from mainspring.jobs.engine._settings import SettingsSource
from mainspring.jobs.stores import JobStore, RunRecord

if TYPE_CHECKING:
    from pathlib import Path

    from mainspring.jobs.engine._parts import OpenApp
    from mainspring.jobs.model import ConfigVersion
    from mainspring.sinks import SinkSet, SinkStats, Spool, SpoolStats


class Sight(Declarations, ABC):
    """The showing half of a `JobApp`."""

    metrics: RunMetrics
    stream: EventStream
    _open: "OpenApp | None"
    _settings: SettingsSource
    _store_given: "JobStore | str | Path | None"
    _spool_given: "Path | None"

    def shown_run(self, record: RunRecord, *, stored: "ConfigVersion | None" = None) -> RunRecord:
        """Return a run as it may be shown: secrets of its config are stars, in its config and in its value.

        Args:
            stored: the version of the stored config that it used; this process knows those of the runs that it runs.
        """
        from mainspring.jobs.engine._showing import shown_run

        if record.config is None and record.value is None:
            return record
        if stored is None and self._open is not None:
            stored = self._open.configs.used(record)
        file = self._settings.of_job(record.job_id)
        return shown_run(record, self.jobs.get(record.job_id), file=file, stored=stored)

    @property
    def state_folder(self) -> "Path":
        """Where the app keeps what belongs to no job: `MAINSPRING_STATE_DIR`, else what its settings say."""
        from mainspring.jobs.engine._store_url import state_directory

        return state_directory(self._settings.load())

    @property
    def spool_folder(self) -> "Path":
        """Where items wait that sinks did not take; each process has a folder of its own in it."""
        from mainspring.jobs.engine._store_url import spool_folder

        if self._spool_given is not None:
            return self._spool_given
        return spool_folder(self._store_given, settings=self._settings.load())

    def events(self, *, most: int = 1000) -> Subscription:
        """Return a subscription to what happens to runs in this process: `async with app.events() as events`.

        Args:
            most: events that wait to be read; the oldest of more are dropped, and counted.
        """
        return self.stream.subscribe(most=most)

    @property
    def is_open(self) -> bool:
        """Whether store and runner are open."""
        return self._open is not None

    @property
    def running_count(self) -> int:
        """Handlers that run in this process."""
        return 0 if self._open is None else self._open.node.running_count

    @property
    def epoch(self) -> int | None:
        """The number of this process's node in the store, None while it runs no jobs."""
        return None if self._open is None else self._open.node.epoch or None

    @property
    def holds_lease(self) -> bool:
        """Whether the node may run jobs now: its lease holds."""
        if self._open is None or not self._open.node.epoch:
            return False
        return self._open.store.lease_end(self._open.node.epoch) > current_clock().monotonic()

    @property
    def sinks(self) -> "SinkSet | None":
        """The sinks, once the app is open."""
        return None if self._open is None else self._open.sinks

    @property
    def spool(self) -> "Spool | None":
        """What waits on disk for sinks, and the dead letters, once the app is open."""
        return None if self._open is None else self._open.sinks.spool

    def sink_stats(self) -> "Sequence[SinkStats]":
        """Return the numbers of the sinks that take batches and were used."""
        return [] if self._open is None else self._open.sinks.stats()

    def spool_stats(self) -> "SpoolStats":
        """Return what this process keeps on disk for sinks."""
        from mainspring.sinks import SpoolStats

        spool = self.spool
        return SpoolStats(0, 0, 0) if spool is None else spool.stats()
