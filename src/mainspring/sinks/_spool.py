"""The spool: what a sink did not take is kept on disk and written later, in the background and after a restart."""

import asyncio
import logging
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from mainspring.base import current_clock
from mainspring.errors import InvalidItemError, SinkWriteError
from mainspring.sinks._deliveries import Deliveries
from mainspring.sinks._lane import Lane
from mainspring.sinks._letters import DeadLetter, Letter, TypeNames, encode_item
from mainspring.sinks._replay import REQUEST_INTERVAL, take_requests
from mainspring.sinks._segments import SegmentLog
from mainspring.sinks._spool_disk import DAMAGED, SpoolDisk
from mainspring.sinks._tickets import Entry, Ticket

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class SpoolStats:
    """What the spool holds now, in letters: those that are tried, and those that are not any more."""

    waiting_count: int
    dead_count: int
    size_bytes: int


class Spool:
    """Keeps items on disk until their sinks take them; made by a SinkSet that is given a folder.

    Args:
        root: a folder in which each node has its own; made with mode 0700 when it is needed.
        max_bytes: what one node's spool may take on disk.
    """

    def __init__(
        self,
        root: Path,
        *,
        names: TypeNames,
        lanes: Mapping[str, Lane],
        trouble: Callable[[str], str | None],
        max_bytes: int,
    ) -> None:
        self.root = root
        self._names = names
        self._disk = SpoolDisk(root, max_bytes=max_bytes)
        self._deliveries = Deliveries(self._disk, names=names, lanes=lanes, trouble=trouble)
        self._opening = asyncio.Lock()
        self._stopped = False
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
        """End the background work, within a second also when a sink ignores that; `keep` still works."""
        self._stopped = True
        listening, self._listening = self._listening, None
        if listening is not None:
            listening.cancel()
            await asyncio.wait({listening})
        await self._deliveries.stop()

    async def close(self) -> None:
        """Let go of the folder."""
        await self.stop()
        await self._disk.close()

    async def _opened(self) -> None:
        async with self._opening:
            if self._disk.log is not None:
                return
            await self._disk.open()
            found: dict[str, list[int]] = {}
            for number in sorted(n for n, place in self._disk.places.items() if place.dead is None):
                letter = await self._disk.read(number)
                if letter is None:
                    await self._bury(number)
                else:
                    found.setdefault(letter.sink, []).append(number)
            for sink, numbers in found.items():
                self._deliveries.add(sink, numbers, at_once=True)
            if not self._stopped:
                self._listening = asyncio.create_task(self._listen(), name="spool-requests")

    async def _bury(self, number: int) -> None:
        await self._disk.note(lambda kept: kept.bury([number], DAMAGED))

    async def _listen(self) -> None:
        """Do what other processes ask for by files in our folder."""
        while True:
            try:
                for ids in await self._disk.note(lambda kept: take_requests(kept.folder)) or ():
                    count = await self.replay(ids)
                    log.info("spool %s: %d dead letters are tried again, as somebody asked", self.root, count)
                for ids in await self._disk.note(lambda kept: take_requests(kept.folder, wish="drop")) or ():
                    count = await self.drop(ids or ())
                    log.info("spool %s: %d dead letters are deleted, as somebody asked", self.root, count)
            except OSError as error:
                log.warning("spool %s: what somebody asked of dead letters cannot be done: %s", self.root, error)
            await asyncio.sleep(REQUEST_INTERVAL)

    # --- in ---

    def weigh(self, lane: str, item: object) -> int:
        """Return how many bytes an item takes; one that could not be kept is refused before it is needed.

        Raises:
            InvalidItemError: its type has no name, or it has no form.
        """
        self._names.name_of(type(item), sink=lane)
        return len(encode_item(item, sink=lane, known=self._known_types))

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
            await self._opened()
            ids = await self._disk.keep(letters)
        except OSError as failure:
            raise SinkWriteError(sink=lane, items=len(entries), reason=f"the spool: {failure}") from failure
        log.warning("sink %s: %d items wait on disk: %s", lane, len(entries) - len(refused), error.reason)
        for number, ((ticket, _), items) in zip(ids, groups.items(), strict=True):
            ticket.spooled.append(number)
            ticket.spooled_count += len(items)
            if ticket.withdrawn:
                await self.forget([number])
        self._deliveries.add(lane, [number for number in ids if number in self._disk.places], at_once=False)
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
        if ids:
            await self._disk.note(lambda kept: kept.done(list(ids)))

    # --- out ---

    def stats(self, ids: Collection[int] | None = None) -> SpoolStats:
        """Return what it holds, or what it still holds of some letters; the size is that of all."""
        numbers = [number for number in list(self._disk.places) if ids is None or number in ids]
        dead = sum(1 for _ in self._dead(numbers))
        return SpoolStats(len(numbers) - dead, dead, 0 if self._disk.log is None else self._disk.log.size)

    def _dead(self, numbers: Iterable[int]) -> Iterable[tuple[int, str]]:
        """Yield those of the letters that nobody tries any more, and why."""
        for number in numbers:
            place = self._disk.places.get(number)
            if place is not None:
                reason = self._deliveries.stranded.get(number) if place.dead is None else place.dead
                if reason is not None:
                    yield number, reason

    async def dead_letters(
        self, *, sink: str | None = None, after: int | None = None, limit: int = 100
    ) -> list[DeadLetter]:
        """List what is not tried any more, oldest first; `after` is the last id seen.

        It was tried too often, or its sink is gone from the program: `reason` says which.
        """
        found = list[DeadLetter]()
        for number, reason in list(self._dead(sorted(self._disk.places))):
            if len(found) >= limit or (after is not None and number <= after):
                continue
            letter, place, kept = await self._disk.read(number), self._disk.places.get(number), self._disk.log
            if letter is not None and place is not None and kept is not None and sink in (None, letter.sink):
                found.append(DeadLetter.of(number, letter, tries=place.tries, reason=reason, folder=kept.folder.name))
        return found

    async def replay(self, ids: Sequence[int] | None = None) -> int:
        """Try dead letters again from the beginning, all that can be read by default; return how many.

        Those of a sink that is not in the program stay as they are, which the log says.
        """
        wanted = sorted(self._disk.places if ids is None else set(ids))
        by_sink: dict[str, list[int]] = {}
        for number, _ in list(self._dead(wanted)):
            letter = await self._disk.read(number)
            if letter is not None:
                by_sink.setdefault(letter.sink, []).append(number)
        count = 0
        for sink, numbers in by_sink.items():
            if self._deliveries.is_open(sink):
                await self._disk.note(partial(SegmentLog.revive, ids=numbers))
                count += self._deliveries.add(sink, numbers, at_once=True)
        return count

    async def drop(self, ids: Sequence[int]) -> int:
        """Delete dead letters; return how many of these there were."""
        dead = [number for number, _ in self._dead(ids)]
        await self.forget(dead)
        return len(dead)

    def __repr__(self) -> str:
        stats = self.stats()
        return f"<Spool {self.root} waiting={stats.waiting_count} dead={stats.dead_count}>"
