"""Letters on their way from the disk to their sinks, in the background.

One letter is tried at a time for each sink. A letter that failed `spool_tries` times is taken apart, each of its items
is tried once more by itself, and what fails then is a dead letter: one bad item does not take its neighbours along.
What fails because of the spool's own files is tried again after a pause, for ever.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence

from mainspring.base import decode_msgpack
from mainspring.errors import SpoolFullError
from mainspring.sinks._batcher import UNWINDING
from mainspring.sinks._lane import Lane
from mainspring.sinks._letters import Letter, TypeNames
from mainspring.sinks._spool_disk import DAMAGED, SpoolDisk
from mainspring.sinks._tickets import Entry, Ticket

log = logging.getLogger(__name__)


class Deliveries:
    """Writes what lies on disk, one task for each sink that has any.

    Args:
        trouble: tells of a sink's name why nothing can be written to it from the disk; None when it can.

    Attributes:
        stranded: letters that nobody tries, since their sink is gone, and why.
    """

    def __init__(
        self,
        disk: SpoolDisk,
        *,
        names: TypeNames,
        lanes: Mapping[str, Lane],
        trouble: Callable[[str], str | None],
    ) -> None:
        self.stranded: dict[int, str] = {}
        self._disk = disk
        self._names = names
        self._lanes = lanes
        self._trouble = trouble
        self._waiting: dict[str, list[int]] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._written: set[int] = set()  # letters that their sink took, though the disk could not be told
        self._stopped = False

    async def stop(self) -> None:
        """End the background work; a sink that goes on though it is cancelled is left alone after a second."""
        self._stopped = True
        tasks, self._tasks = self._tasks, {}
        for task in tasks.values():
            task.cancel()
        if tasks:
            await asyncio.wait(tasks.values(), timeout=UNWINDING)
        for lane, task in tasks.items():
            if not task.done():
                log.error("sink %s goes on though it was cancelled, and is left alone", lane)

    def is_open(self, lane: str) -> bool:
        """Tell whether letters of a lane can be tried; say why not."""
        trouble = self._trouble(lane)
        if trouble is not None:
            log.warning("spool %s: nothing is tried again: %s", self._disk.root, trouble)
        return trouble is None

    def add(self, lane: str, numbers: Sequence[int], *, at_once: bool) -> int:
        """Try letters of a lane from now on; return how many that are: none if their sink is gone."""
        trouble = self._trouble(lane)
        if trouble is not None:
            self.stranded |= dict.fromkeys(numbers, trouble)
            log.warning("spool %s: %d letters stay and are not tried: %s", self._disk.root, len(numbers), trouble)
            return 0
        for number in numbers:
            self.stranded.pop(number, None)
        waiting = self._waiting.setdefault(lane, [])
        waiting += numbers
        if waiting and not self._stopped and lane not in self._tasks:
            task = asyncio.create_task(self._drain(self._lanes[lane], waiting, at_once=at_once), name=f"spool-{lane}")
            if not task.done():  # where tasks start eagerly, it may have found nothing to do
                self._tasks[lane] = task
        return len(numbers)

    async def _drain(self, lane: Lane, waiting: list[int], *, at_once: bool) -> None:
        """Write a lane's letters, oldest first, until none is left."""
        delays = iter(lane.delivery.spool_retry)
        pause = not at_once
        try:
            while waiting and not self._stopped:
                if pause:
                    await asyncio.sleep(next(delays, lane.delivery.spool_retry.maximum))
                try:
                    pause = not await self._deliver(lane, waiting)
                except (OSError, SpoolFullError) as error:
                    log.warning("spool %s cannot be used: %s; next attempt later", self._disk.root, error)
                    pause = True
                if not pause:
                    delays = iter(lane.delivery.spool_retry)
        finally:
            self._tasks.pop(lane.name, None)  # in the same step as the last look, so that no letter falls between

    async def _deliver(self, lane: Lane, waiting: list[int]) -> bool:
        """Try the oldest letter; tell whether the next may follow at once.

        Raises:
            OSError: a file of the spool cannot be used; the letter stays the oldest.
            SpoolFullError: the letter cannot be taken apart.
        """
        number = waiting[0]
        if number not in self._written:
            place = self._disk.places.get(number)
            if place is None or place.dead is not None:
                waiting.remove(number)
                return True
            letter = await self._disk.read(number)
            if letter is None:
                await self._disk.note(lambda kept: kept.bury([number], DAMAGED))
                waiting.remove(number)
                return True
            try:
                await lane.write(self._entries(letter, lane.label))
            except Exception as error:  # noqa: BLE001  # supervisor: whatever a sink raises is retried, or buried
                await self._disk.note(lambda kept: kept.failed([number]))
                await self._judge(lane, waiting, letter, error)
                return False
            self._written.add(number)
        await self._disk.note(lambda kept: kept.done([number]))
        self._written.discard(number)
        waiting.remove(number)
        return True

    async def _judge(self, lane: Lane, waiting: list[int], letter: Letter, error: Exception) -> None:
        """Decide what a letter becomes that failed once more."""
        number = waiting[0]
        place = self._disk.places.get(number)
        if place is None or place.tries < lane.delivery.spool_tries:
            return
        if len(letter.items) == 1:
            reason = f"{type(error).__qualname__}: {error}"
            log.error("sink %s: an item is a dead letter after %d tries: %s", lane.name, place.tries, reason)
            await self._disk.note(lambda kept: kept.bury([number], reason))
            waiting.remove(number)
            return
        single = [one.encoded() for one in letter.alone()]
        tries = lane.delivery.spool_tries - 1
        numbers = await self._disk.note(lambda kept: kept.put(single, tries=tries, replaces=[number]))
        waiting[:1] = numbers or []

    def _entries(self, letter: Letter, label: str) -> list[Entry]:
        ticket = Ticket(label, run_id=letter.run_id, job_id=letter.job_id)
        wanted = self._names.type_of(letter.item_type)
        return [Entry(ticket, decode_msgpack(data, wanted), key, len(data)) for key, data in letter.items]
