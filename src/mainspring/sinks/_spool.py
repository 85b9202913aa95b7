"""The spool: what a sink did not take is kept on disk and written later, in the background and after a restart.

One letter is tried at a time for each sink. A letter that failed `spool_tries` times is taken apart, each of its items
is tried once more by itself, and what fails then is a dead letter: one bad item does not take its neighbours along.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, ParamSpec, TypeVar

from mainspring.base import current_clock, decode_msgpack
from mainspring.concurrency import ThreadPoolExecutor
from mainspring.errors import DecodeError, InvalidItemError, SinkWriteError
from mainspring.sinks._lane import Lane
from mainspring.sinks._letters import DeadLetter, Letter, TypeNames, decode_letter, encode_item
from mainspring.sinks._replay import REQUEST_INTERVAL, take_requests
from mainspring.sinks._segments import SegmentLog
from mainspring.sinks._spool_folder import SpoolFolder
from mainspring.sinks._tickets import Entry, Ticket

log = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")

_DAMAGED: Final = "its bytes are damaged"


@dataclass(frozen=True, slots=True)
class SpoolStats:
    """What the spool holds now."""

    waiting_count: int
    dead_count: int
    size_bytes: int


class Spool:
    """Keeps items on disk until their sinks take them; made by a SinkSet that is given a folder.

    Args:
        root: a folder in which each node has its own; made with mode 0700 when it is needed.
        max_bytes: what one node's spool may take on disk.
    """

    def __init__(self, root: Path, *, names: TypeNames, lanes: Mapping[str, Lane], max_bytes: int) -> None:
        self.root = root
        self._names = names
        self._lanes = lanes
        self._folder = SpoolFolder(root, max_bytes=max_bytes)
        self._threads: ThreadPoolExecutor | None = None
        self._opening = asyncio.Lock()
        self._log: SegmentLog | None = None
        self._closed = False
        self._waiting: dict[str, list[int]] = {}
        self._drains: dict[str, asyncio.Task[None]] = {}
        self._known_types: set[type] = set()
        self._listening: asyncio.Task[None] | None = None

    # --- its life ---

    async def open(self) -> None:
        """Begin to write what an earlier process left; a folder that is not there is not made.

        Raises:
            OSError: the folder cannot be used.
        """
        if self.root.exists():
            await self._opened()

    async def stop(self) -> None:
        """End the background work; `keep` still works."""
        self._closed = True
        drains = [*self._drains.values(), *(() if self._listening is None else (self._listening,))]
        for task in drains:
            task.cancel()
        await asyncio.gather(*drains, return_exceptions=True)

    async def close(self) -> None:
        """Let go of the folder."""
        await self.stop()
        if self._log is not None:
            self._log = None
            await self._call(self._folder.close)
        if self._threads is not None:
            self._threads.shutdown()
            self._threads = None

    # --- in ---

    async def keep(self, lane: str, entries: Sequence[Entry], error: SinkWriteError) -> list[Entry]:
        """Keep what a sink did not take; on disk when this returns. Return the items that cannot be kept.

        Raises:
            SpoolFullError: there is no room; nothing was kept.
            SinkWriteError: the disk refused; nothing was kept.
        """
        groups, refused = self._sorted(lane, entries)
        now = current_clock().now()
        letters = [
            Letter(lane, kind, ticket.job_id, ticket.run_id, now, items).encoded()
            for (ticket, kind), items in groups.items()
        ]
        try:
            kept = await self._opened()
            ids = await self._call(kept.put, letters)
        except OSError as failure:
            raise SinkWriteError(sink=lane, items=len(entries), reason=f"the spool: {failure}") from failure
        log.warning("sink %s: %d items wait on disk: %s", lane, len(entries) - len(refused), error.reason)
        for number, ((ticket, _), items) in zip(ids, groups.items(), strict=True):
            ticket.spooled.append(number)
            ticket.spooled_count += len(items)
            if ticket.withdrawn:
                await self.forget([number])
        self._enqueue(lane, [number for number in ids if number in kept.places], at_once=False)
        return refused

    def _sorted(
        self, lane: str, entries: Sequence[Entry]
    ) -> tuple[dict[tuple[Ticket, str], list[tuple[str | None, bytes]]], list[Entry]]:
        """Return the items as bytes by run and type, and those that have no name or no form."""
        groups: dict[tuple[Ticket, str], list[tuple[str | None, bytes]]] = {}
        refused: list[Entry] = []
        for entry in entries:
            item: object = entry.item
            try:
                kind = self._names.name_of(type(item), sink=lane)
                data = encode_item(item, sink=lane, known=self._known_types)
            except InvalidItemError as error:
                log.error("sink %s: an item cannot be kept on disk: %s", lane, error)
                refused.append(entry)
            else:
                groups.setdefault((entry.ticket, kind), []).append((entry.key, data))
        return groups, refused

    async def forget(self, ids: Sequence[int]) -> None:
        """Drop letters of a run that failed, and those that nobody wants any more."""
        if self._log is not None and ids:
            await self._call(self._log.done, list(ids))

    # --- out ---

    def stats(self, ids: Collection[int] | None = None) -> SpoolStats:
        """Return what it holds, or what it still holds of some letters; the size is that of all."""
        if self._log is None:
            return SpoolStats(0, 0, 0)
        places = [place for number, place in list(self._log.places.items()) if ids is None or number in ids]
        dead = sum(place.dead is not None for place in places)
        return SpoolStats(len(places) - dead, dead, self._log.size)

    async def dead_letters(
        self, *, sink: str | None = None, after: int | None = None, limit: int = 100
    ) -> list[DeadLetter]:
        """List what is not tried any more, oldest first; `after` is the last id seen."""
        if self._log is None:
            return []
        kept, found = self._log, list[DeadLetter]()
        for number, place in sorted(kept.places.items()):
            if place.dead is None or len(found) >= limit or (after is not None and number <= after):
                continue
            letter = await self._read(number)
            if letter is not None and sink in (None, letter.sink):
                folder = kept.folder.name
                found.append(DeadLetter.of(number, letter, tries=place.tries, reason=place.dead, folder=folder))
        return found

    async def replay(self, ids: Sequence[int] | None = None) -> int:
        """Try dead letters again from the beginning, all that can be read by default; return how many."""
        kept = self._log
        if kept is None:
            return 0
        wanted = set(kept.places if ids is None else ids)
        dead = [number for number, place in list(kept.places.items()) if place.dead is not None and number in wanted]
        letters = [(number, letter) for number in sorted(dead) if (letter := await self._read(number)) is not None]
        await self._call(kept.revive, [number for number, _ in letters])
        for number, letter in letters:
            self._enqueue(letter.sink, [number], at_once=True)
        return len(letters)

    async def drop(self, ids: Sequence[int]) -> None:
        """Delete dead letters."""
        kept = self._log
        if kept is not None:
            await self.forget([one for one in ids if one in kept.places and kept.places[one].dead is not None])

    # --- inside ---

    async def _opened(self) -> SegmentLog:
        async with self._opening:
            if self._log is None:
                self._log = await self._call(self._folder.open)
                for number in sorted(n for n, place in self._log.places.items() if place.dead is None):
                    letter = await self._read(number)
                    if letter is None:
                        await self._call(self._log.bury, [number], _DAMAGED)
                    else:
                        self._enqueue(letter.sink, [number], at_once=True)
                if not self._closed:
                    self._listening = asyncio.create_task(self._listen(self._log.folder), name="spool-requests")
            return self._log

    async def _listen(self, folder: Path) -> None:
        """Do what other processes ask for by files in our folder."""
        while True:
            try:
                for ids in await self._call(take_requests, folder):
                    count = await self.replay(ids)
                    log.info("spool %s: %d dead letters are tried again, as somebody asked", folder, count)
            except OSError as error:
                log.warning("spool %s: a request to try dead letters again cannot be met: %s", folder, error)
            await asyncio.sleep(REQUEST_INTERVAL)

    def _call(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Awaitable[T]:
        """Run a blocking call in the one thread of the spool, to its end whoever is cancelled."""
        if self._threads is None:
            self._threads = ThreadPoolExecutor(1, statistic_name="spool")
        return asyncio.shield(self._threads.run(function, *args, **kwargs))

    async def _read(self, number: int) -> Letter | None:
        data = None if self._log is None else await self._call(self._log.read, number)
        try:
            return None if data is None else decode_letter(data)
        except DecodeError as error:
            log.error("spool %s: letter %d cannot be read: %s", self.root, number, error)
            return None

    def _enqueue(self, lane: str, ids: Sequence[int], *, at_once: bool) -> None:
        waiting = self._waiting.setdefault(lane, [])
        waiting += ids
        if self._closed or not waiting or lane in self._drains:
            return
        if lane not in self._lanes:
            log.warning("the spool holds items for %r, which is no sink of this program; they stay", lane)
            return
        drain = asyncio.create_task(self._drain(self._lanes[lane], waiting, at_once=at_once), name=f"spool-{lane}")
        if not drain.done():  # where tasks start eagerly, it may have found nothing to do
            self._drains[lane] = drain

    async def _drain(self, lane: Lane, waiting: list[int], *, at_once: bool) -> None:
        """Write a lane's letters, oldest first, until none is left."""
        delays = iter(lane.delivery.spool_retry)
        pause = not at_once
        try:
            while waiting:
                if pause:
                    await asyncio.sleep(next(delays, lane.delivery.spool_retry.maximum))
                pause = not await self._deliver(lane, waiting)
                if not pause:
                    delays = iter(lane.delivery.spool_retry)
        finally:
            self._drains.pop(lane.name, None)  # in the same step as the last look, so that no letter falls between

    async def _deliver(self, lane: Lane, waiting: list[int]) -> bool:
        """Try the oldest letter; tell whether the next may follow at once."""
        number, kept = waiting[0], self._log
        if kept is None or number not in kept.places or kept.places[number].dead is not None:
            waiting.remove(number)
            return True
        letter = await self._read(number)
        if letter is None:
            waiting.remove(number)
            await self._call(kept.bury, [number], _DAMAGED)
            return True
        try:
            await lane.write(self._entries(letter, lane.label))
        except Exception as error:  # noqa: BLE001  # supervisor: whatever a sink raises is retried, then a dead letter
            await self._call(kept.failed, [number])
            await self._judge(lane, waiting, letter, error)
            return False
        waiting.remove(number)
        await self._call(kept.done, [number])
        return True

    async def _judge(self, lane: Lane, waiting: list[int], letter: Letter, error: Exception) -> None:
        """Decide what a letter becomes that failed once more."""
        number, kept = waiting[0], self._log
        place = None if kept is None else kept.places.get(number)
        if kept is None or place is None or place.tries < lane.delivery.spool_tries:
            return
        waiting.remove(number)
        if len(letter.items) == 1:
            reason = f"{type(error).__qualname__}: {error}"
            log.error("sink %s: an item is a dead letter after %d tries: %s", lane.name, place.tries, reason)
            await self._call(kept.bury, [number], reason)
            return
        single = [one.encoded() for one in letter.alone()]
        waiting[:0] = await self._call(kept.put, single, tries=lane.delivery.spool_tries - 1, replaces=[number])

    def _entries(self, letter: Letter, label: str) -> list[Entry]:
        ticket = Ticket(label, run_id=letter.run_id, job_id=letter.job_id)
        wanted = self._names.type_of(letter.item_type)
        return [Entry(ticket, decode_msgpack(data, wanted), key, len(data)) for key, data in letter.items]

    def __repr__(self) -> str:
        stats = self.stats()
        return f"<Spool {self.root} waiting={stats.waiting_count} dead={stats.dead_count}>"
