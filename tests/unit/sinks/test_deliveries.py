"""What waits on disk is tried again whatever happens to the disk, and says so when nobody can try it."""

import asyncio
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import pytest
from tests.unit.sinks.support_targets import Target, Trade, spooling

from mainspring.base import Backoff
from mainspring.sinks import Delivery, SinkSet, Spool, SqlTable
from mainspring.testing import VirtualClock, eventually

NEVER = Backoff.constant(3600.0)


def spool_of(sinks: SinkSet) -> Spool:
    assert sinks.spool is not None
    return sinks.spool


def sinks_with(folder: Path, target: object, *, delivery: Delivery | None = None, bytes_: int = 1 << 20) -> SinkSet:
    sinks = SinkSet(spool=folder, spool_bytes=bytes_)
    sinks.add(target, types=[Trade, dict], name="target", delivery=delivery or spooling(spool_tries=10**6))
    return sinks


async def left_behind(folder: Path, *items: object) -> None:
    """Leave items on disk, one letter each."""
    async with sinks_with(folder, Target(down=True), delivery=spooling(spool_retry=NEVER)) as sinks:
        for item in items:
            await sinks.emit(item)
            await sinks.flush()


@dataclass
class Disk:
    """A disk that takes nothing while it is full, and counts what it refused."""

    write: Callable[[int, bytes, int], int]
    is_full: bool = False
    refused: int = 0

    def pwrite(self, file: int, data: bytes, offset: int) -> int:
        if self.is_full:
            self.refused += 1
            raise OSError(28, "no space left on device")
        return self.write(file, data, offset)


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    disk = Disk(os.pwrite)
    monkeypatch.setattr(os, "pwrite", disk.pwrite)
    return disk


async def test_a_full_disk_ends_no_attempts(tmp_path: Path, disk: Disk, caplog: pytest.LogCaptureFixture) -> None:
    target = Target(down=True)
    async with sinks_with(tmp_path, target) as sinks:
        await sinks.emit({"n": 1})
        await sinks.flush()
        disk.is_full = True
        await eventually(lambda: disk.refused >= 3)
        disk.is_full, target.down = False, False
        await target.until(1)
        await eventually(lambda: spool_of(sinks).stats().waiting_count == 0)
    assert "cannot be used: [Errno 28] no space left on device; next attempt later" in caplog.text


async def test_what_a_sink_took_while_the_disk_was_full_is_not_written_again(tmp_path: Path, disk: Disk) -> None:
    await left_behind(tmp_path, {"n": 1}, {"n": 2})
    target = Target()
    async with sinks_with(tmp_path, target) as sinks:
        disk.is_full = True
        await target.until(1)
        await eventually(lambda: disk.refused >= 3)
        disk.is_full = False
        await eventually(lambda: spool_of(sinks).stats().waiting_count == 0)
    assert [{"n": 1}, {"n": 2}] == target.got


async def test_a_letter_that_cannot_be_taken_apart_is_tried_as_it_is(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    target = Target(down=True)
    async with sinks_with(tmp_path, target, delivery=spooling(spool_tries=1), bytes_=2000) as sinks:
        await sinks.emit({"text": "x" * 600})
        await sinks.emit({"text": "y" * 600})
        await sinks.flush()
        await eventually(lambda: "of at most 2000 bytes, and these do not fit; next attempt" in caplog.text)
        target.down = False
        await target.until(2)
        await eventually(lambda: spool_of(sinks).stats().waiting_count == 0)


async def test_a_folder_that_is_removed_is_made_anew(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = tmp_path / "spool"
    async with sinks_with(folder, Target(down=True), delivery=spooling(spool_retry=NEVER)) as sinks:
        await sinks.emit({"n": 1})
        await sinks.flush()
        folder.rename(tmp_path / "gone")
        await sinks.emit({"n": 2})
        await sinks.flush()
        assert 1 == spool_of(sinks).stats().waiting_count
    assert "was removed while it was in use, or files of it: 1 letters are lost" in caplog.text
    target = Target()
    async with sinks_with(folder, target):
        await target.until(1)
    assert [{"n": 2}] == target.got


async def test_attempts_go_on_after_the_folder_was_removed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder, target = tmp_path / "spool", Target(down=True)
    async with sinks_with(folder, target) as sinks:
        await sinks.emit({"n": 1})
        await sinks.flush()
        folder.rename(tmp_path / "gone")
        await eventually(lambda: "1 letters are lost" in caplog.text)
        await sinks.emit({"n": 2})
        await sinks.flush()
        target.down = False
        await target.until(1)
        await eventually(lambda: spool_of(sinks).stats().waiting_count == 0)
    assert [{"n": 2}] == target.got


class Deaf:
    """A sink that refuses at first, and then goes on when it is cancelled, until it may end."""

    def __init__(self, *, failures: int) -> None:
        self.failures = failures
        self.task: asyncio.Task[object] | None = None
        self.tried, self.end = asyncio.Event(), asyncio.Event()

    async def write(self, _: list[object]) -> None:
        if self.failures:
            self.failures -= 1
            raise OSError("refused")
        self.task = asyncio.current_task()
        self.tried.set()
        while not self.end.is_set():
            try:
                await self.end.wait()
            except asyncio.CancelledError:
                continue

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.end.set()
        if self.task is not None:
            await asyncio.wait({self.task})


async def test_a_sink_that_ignores_its_cancellation_keeps_no_spool_open(
    tmp_path: Path, virtual_clock: VirtualClock, caplog: pytest.LogCaptureFixture
) -> None:
    target, loop = Target(), asyncio.get_running_loop()
    async with Deaf(failures=2) as deaf:
        sinks = sinks_with(tmp_path, deaf.write)
        await sinks.open()
        await sinks.emit({"n": 1})
        await sinks.flush()
        await deaf.tried.wait()
        began = loop.time()
        await sinks.close(timeout=0.0)
        assert loop.time() - began < 2.0
        assert "sink target goes on though it was cancelled, and is left alone" in caplog.text
    async with sinks_with(tmp_path, target):
        await target.until(1)
    assert [{"n": 1}] == target.got


async def test_letters_of_a_sink_that_is_gone_stay_and_say_why(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    await left_behind(tmp_path, {"n": 1}, {"n": 2})
    other = SinkSet(spool=tmp_path)
    other.add(Target(), types=[dict], name="new")
    async with other:
        spool = spool_of(other)
        assert (0, 2) == (spool.stats().waiting_count, spool.stats().dead_count)
        first, second = await spool.dead_letters(sink="target")
        assert ([{"n": 1}], 0) == (first.items, first.tries)
        assert first.reason.startswith("this program has no sink 'target' (it has new); give one this name again")
        assert f"2 letters stay and are not tried: {first.reason}" in caplog.text
        assert 0 == await spool.replay()
        assert "nothing is tried again: this program has no sink 'target'" in caplog.text
        await spool.drop([first.letter_id])
        assert [second] == await spool.dead_letters()
    target = Target()
    async with sinks_with(tmp_path, target):
        await target.until(1)
    assert [{"n": 2}] == target.got


async def test_letters_of_a_sink_that_came_later_can_be_replayed(tmp_path: Path) -> None:
    await left_behind(tmp_path, {"n": 1})
    target, sinks = Target(), SinkSet(spool=tmp_path)
    async with sinks:
        assert 0 == await spool_of(sinks).replay()
        sinks.add(target, types=[dict], name="target")
        assert 1 == await spool_of(sinks).replay()
        await target.until(1)
        await eventually(lambda: spool_of(sinks).stats().dead_count == 0)


async def test_a_sink_that_spools_no_more_still_gets_what_it_once_spooled(tmp_path: Path) -> None:
    await left_behind(tmp_path, Trade("A", 1.5), {"n": 1})
    target = Target()
    async with sinks_with(tmp_path, target, delivery=Delivery()):
        await target.until(2)
    assert [Trade("A", 1.5), {"n": 1}] == target.got


async def test_letters_of_a_sink_that_became_a_table_say_so(tmp_path: Path) -> None:
    await left_behind(tmp_path, {"n": 1})
    sinks = SinkSet(spool=tmp_path)
    sinks.add(SqlTable("t"), types=[dict], name="target")
    async with sinks:
        (dead,) = await spool_of(sinks).dead_letters()
    assert dead.reason.startswith("sink 'target' takes items only from the runs that emit them now")
