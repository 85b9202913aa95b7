"""What an app asks its store: its runs, and a look at it without taking part."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from mainspring.jobs.engine._declarations import Declarations, Job
from mainspring.jobs.engine._settings import AppSettings, SettingsSource
from mainspring.jobs.model import RunState
from mainspring.jobs.stores import AppName, JobStore, RunRecord

if TYPE_CHECKING:
    from pathlib import Path

    from mainspring.jobs.engine._parts import OpenApp
    from mainspring.jobs.engine._reader import JobReader
    from mainspring.jobs.stores import MemoryData


class Looking(Declarations, ABC):
    """The half of a `JobApp` that reads."""

    label: str
    _was: tuple[str, ...]
    _open: "OpenApp | None"
    _settings: SettingsSource
    _store_given: "JobStore | str | Path | None"
    _memory: "MemoryData | None"

    @abstractmethod
    async def open(self, *, runner: bool = True, guest: bool = False) -> "OpenApp":
        """Open store and runner."""

    async def run(self, run_id: str) -> RunRecord | None:
        """Return one run by its id, or an unambiguous beginning of it."""
        return await (await self._reader()).run(run_id)

    async def runs(
        self,
        job: Job | None = None,
        *,
        states: Sequence[RunState] = (),
        backfill_id: str | None = None,
        before: str | None = None,
        limit: int = 50,
    ) -> Sequence[RunRecord]:
        """List runs, newest first; `before` is the last run id seen."""
        reader = await self._reader()
        return await reader.runs(job, states=states, backfill_id=backfill_id, before=before, limit=limit)

    @asynccontextmanager
    async def reading(self, *, any_app: bool = False) -> "AsyncGenerator[JobReader]":
        """Look at the store without taking part: nothing is registered, claimed or created.

        Meanwhile the app's jobs show the schedules that the store has for them.

        Args:
            any_app: look at the store of another app, too, to check it or to back it up.

        Raises:
            StoreTakenError: the store belongs to another app.
            StorageError: there is no store, or it cannot be read.
        """
        from mainspring.jobs.engine._configs import JobConfigs
        from mainspring.jobs.engine._overrides import Overrides
        from mainspring.jobs.engine._reader import JobReader

        if self._open is not None and self._open.loop is asyncio.get_running_loop():
            yield JobReader(self._registry, self._open.store, self._open.configs)
            return
        store = self._make_store(self._settings.load()).reader()
        await store.open()
        overrides = Overrides(self._registry, {})
        try:
            if not any_app:
                AppName(self.label, self._was).check(await store.owner_label(), store=store.location)
            for row in await store.jobs():
                overrides.apply(row)
            yield JobReader(self._registry, store, JobConfigs(store, self._settings))
        finally:
            overrides.forget()
            await store.close()

    def _make_store(self, settings: AppSettings) -> JobStore:
        from mainspring.jobs.engine._store_url import make_store
        from mainspring.jobs.stores import MemoryData

        if self._memory is None:
            self._memory = MemoryData()
        return make_store(self._store_given, memory=self._memory, settings=settings)

    async def _reader(self) -> "JobReader":
        from mainspring.jobs.engine._reader import JobReader

        opened = await self.open()
        return JobReader(self._registry, opened.store, opened.configs)
