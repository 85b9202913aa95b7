"""What a sink did not take is kept on disk, written later, and in the end a dead letter; nothing is lost on the way."""

import asyncio
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.unit.sinks.support_tables import run_of
from tests.unit.sinks.support_targets import Target, Trade, spooling

from mainspring.base import Backoff
from mainspring.errors import InvalidItemError, SinkWriteError
from mainspring.sinks import Delivery, SinkSet, Spool, WriteIntent
from mainspring.sinks._spool_folder import SpoolFolder
from mainspring.sinks._tickets import Entry, Ticket
from mainspring.testing import VirtualClock, eventually


def spool_of(sinks: SinkSet) -> Spool:
    assert sinks.spool is not None
    return sinks.spool


def sinks_with(folder: Path, target: Target, *, delivery: Delivery | None = None, bytes_: int = 1 << 20) -> SinkSet:
    sinks = SinkSet(spool=folder, spool_bytes=bytes_)
    sinks.add(target, types=[Trade, dict], name="target", delivery=delivery or spooling())
    return sinks


def damage(root: Path) -> None:
    """Change a byte of the first letter."""
    (path,) = root.glob("*/*.seg")
    data = bytearray(path.read_bytes())
    data[data.index(b"dict") - 1] ^= 0xFF
    path.write_bytes(data)


async def test_a_run_whose_items_are_spooled_succeeds_and_they_arrive_later(tmp_path: Path) -> None:
    target = Target(down=True)
    sinks = sinks_with(tmp_path, target, delivery=spooling(spool_tries=10**6))
    await sinks.open()
    session = sinks.session(run_of())
    await session.emit(Trade("A", 1.5), key="k1")
    await session.emit({"n": 2}, key="k2")
    assert await session.finish() == ()
    assert spool_of(sinks).stats().waiting_count == 2
    target.down = False
    await target.until(2)
    assert [("k1", Trade("A", 1.5)), ("k2", {"n": 2})] == [(one.key, one.payload) for one in target.intents]
    assert {("run-0-1", "load", "target")} == {(one.run_id, one.job_id, one.sink) for one in target.intents}
    await eventually(lambda: spool_of(sinks).stats().waiting_count == 0)
    await sinks.close()


async def test_what_waits_is_written_after_a_restart(tmp_path: Path) -> None:
    first = sinks_with(tmp_path, Target(down=True), delivery=spooling(spool_retry=Backoff.constant(3600.0)))
    async with first:
        await first.emit(Trade("A", 1.5), key="k")
        await first.flush()
    target = Target()
    async with sinks_with(tmp_path, target) as second:
        await target.until(1)
        assert target.got == [Trade("A", 1.5)]
        assert repr(second.spool).startswith("<Spool ")
    async with sinks_with(tmp_path, Target()) as third:
        assert spool_of(third).stats().waiting_count == 0


async def test_one_bad_item_becomes_a_dead_letter_and_its_neighbours_arrive(tmp_path: Path) -> None:
    target = Target(poison=[{"n": 2}])
    sinks = sinks_with(tmp_path, target, delivery=spooling(spool_tries=3))
    async with sinks:
        for n in range(4):
            await sinks.emit({"n": n}, key=str(n))
        await sinks.flush()
        await target.until(3)
        await eventually(lambda: spool_of(sinks).stats().dead_count == 1)
        (dead,) = await spool_of(sinks).dead_letters()
        assert (dead.sink, dead.item_type, dead.tries, dead.items) == ("target", "dict", 3, [{"n": 2}])
        assert "OSError: refused" == dead.reason
        assert await spool_of(sinks).dead_letters(sink="other") == []
    assert sorted(map(str, target.got)) == ["{'n': 0}", "{'n': 1}", "{'n': 3}"]


async def test_an_item_is_tried_as_often_as_the_terms_say_and_those_of_a_letter_once_more_alone(
    tmp_path: Path,
) -> None:
    target, from_memory, from_disk = Target(down=True), 2, 3
    async with sinks_with(tmp_path, target, delivery=spooling(spool_tries=from_disk)) as sinks:
        await sinks.emit({"n": 1})
        await sinks.flush()
        await eventually(lambda: spool_of(sinks).stats().dead_count == 1)
        assert from_memory + from_disk == target.attempts
        target.attempts = 0
        assert 1 == await spool_of(sinks).replay()
        await eventually(lambda: target.attempts >= from_disk and spool_of(sinks).stats().dead_count == 1)
        assert from_disk == target.attempts
        target.attempts = 0
        await sinks.emit({"n": 2})
        await sinks.emit({"n": 3})
        await sinks.flush()
        await eventually(lambda: spool_of(sinks).stats().dead_count == 3)
        assert from_memory + from_disk + 2 == target.attempts


class OneAtATime(Target):
    """A sink that notes how many of its calls run beside each other."""

    def __init__(self) -> None:
        super().__init__(down=True)
        self.running = self.most = 0

    async def write_batch(self, intents: Sequence[WriteIntent]) -> None:
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            await super().write_batch(intents)
        finally:
            self.running -= 1


async def test_a_sink_gets_one_batch_at_a_time_from_memory_and_disk(tmp_path: Path) -> None:
    target = OneAtATime()
    async with sinks_with(tmp_path, target, delivery=spooling(spool_tries=1)) as sinks:
        await sinks.emit({"n": 1})
        await sinks.flush()
        await eventually(lambda: spool_of(sinks).stats().dead_count == 1)
        target.down = False
        target.gate.clear()
        target.tried.clear()
        await spool_of(sinks).replay()
        await target.tried.wait()
        await sinks.emit({"n": 2})
        flushing = asyncio.create_task(sinks.flush())
        for _ in range(10):
            await asyncio.sleep(0)
        target.gate.set()
        await flushing
        await target.until(2)
    assert 1 == target.most


async def test_dead_letters_can_be_replayed_and_dropped(tmp_path: Path) -> None:
    target = Target(down=True)
    async with sinks_with(tmp_path, target, delivery=spooling(spool_tries=1)) as sinks:
        for n in range(3):
            await sinks.emit({"n": n})
            await sinks.flush()
        await eventually(lambda: spool_of(sinks).stats().dead_count == 3)
        first, second, _ = await spool_of(sinks).dead_letters()
        assert len(await spool_of(sinks).dead_letters(limit=1)) == 1
        assert [second] == await spool_of(sinks).dead_letters(after=first.letter_id, limit=1)
        await spool_of(sinks).drop([first.letter_id])
        target.down = False
        assert await spool_of(sinks).replay([second.letter_id, first.letter_id]) == 1
        await target.until(1)
        assert await spool_of(sinks).replay() == 1
        await target.until(2)
        await eventually(lambda: spool_of(sinks).stats().dead_count == 0)
    assert target.got == [{"n": 1}, {"n": 2}]


async def test_dead_letters_stay_dead_after_a_restart(tmp_path: Path) -> None:
    async with sinks_with(tmp_path, Target(down=True), delivery=spooling(spool_tries=1)) as sinks:
        await sinks.emit({"n": 1})
        await sinks.flush()
        await eventually(lambda: spool_of(sinks).stats().dead_count == 1)
    target = Target()
    async with sinks_with(tmp_path, target) as again:
        assert (spool_of(again).stats().dead_count, target.attempts) == (1, 0)
        await spool_of(again).replay()
        await target.until(1)


async def test_a_letter_that_comes_as_the_last_one_leaves_is_written_too(tmp_path: Path) -> None:
    """Both answers of the disk reach the loop in one step, so that the drain has ended but its task is not gone."""
    target = Target(down=True)
    async with sinks_with(tmp_path, target, delivery=spooling(spool_tries=1)) as sinks:
        await sinks.emit({"n": 0})
        await sinks.flush()
        spool = spool_of(sinks)
        await eventually(lambda: spool.stats().dead_count == 1)
        (dead,) = await spool.dead_letters()
        late = Entry(Ticket("target"), {"n": 1}, None, 1)

        async def come_late() -> None:
            keep = asyncio.create_task(spool.keep("target", [late], SinkWriteError(sink="target", items=1, reason="")))
            await asyncio.sleep(0)
            for _ in range(5_000):  # holds the loop until the disk has done both
                if spool.stats().waiting_count and not spool.stats([dead.letter_id]).waiting_count:
                    break
                threading.Event().wait(0.001)
            await keep

        target.down, target.changed = False, asyncio.Event()
        await spool.replay()
        await target.changed.wait()
        await come_late()
        await target.until(2)
    assert target.got == [{"n": 0}, {"n": 1}]


async def test_a_run_that_fails_takes_its_spooled_items_back(tmp_path: Path) -> None:
    target = Target(down=True)
    async with sinks_with(tmp_path, target, delivery=spooling(spool_retry=Backoff.constant(3600.0))) as sinks:
        failed, fine = sinks.session(run_of(0)), sinks.session(run_of(1))
        await failed.emit({"n": 1})
        await fine.emit({"n": 2})
        await failed.finish()
        await fine.finish()
        await failed.discard()
        assert spool_of(sinks).stats().waiting_count == 1
    target.down = False
    async with sinks_with(tmp_path, target):
        await target.until(1)
    assert target.got == [{"n": 2}]


async def test_a_letter_that_was_taken_back_holds_up_no_other(tmp_path: Path, virtual_clock: VirtualClock) -> None:
    target = Target(down=True)
    async with sinks_with(tmp_path, target, delivery=spooling(spool_retry=Backoff.constant(60.0))) as sinks:
        failed, fine = sinks.session(run_of(0)), sinks.session(run_of(1))
        await failed.emit({"n": 1})
        await failed.finish()
        await fine.emit({"n": 2})
        await fine.finish()
        await failed.discard()
        target.down = False
        await eventually(lambda: not spool_of(sinks).stats().waiting_count, within=300.0)
    assert [{"n": 2}] == target.got


async def test_a_run_that_fails_while_its_items_are_being_spooled_takes_them_back(tmp_path: Path) -> None:
    target = Target(down=True)
    async with sinks_with(tmp_path, target) as sinks:
        session = sinks.session(run_of(0))
        await session.emit({"n": 1})
        finish = asyncio.create_task(session.finish())
        await target.tried.wait()
        await asyncio.gather(session.discard(), finish)
        await eventually(lambda: spool_of(sinks).stats().waiting_count == 0)
    assert target.got == []


async def test_a_stuck_sink_loses_nothing_at_the_end(tmp_path: Path) -> None:
    stuck = Target()
    stuck.gate.clear()
    sinks = sinks_with(tmp_path, stuck, delivery=spooling(max_count=10))
    await sinks.open()
    for n in range(150):
        await sinks.emit({"n": n})
    await sinks.close(timeout=0.01)
    target = Target()
    async with sinks_with(tmp_path, target):
        await target.until(150)
    assert sorted(str(item) for item in target.got) == sorted(str({"n": n}) for n in range(150))


async def test_a_stuck_sink_loses_nothing_though_there_is_no_time_to_wait_for_it(tmp_path: Path) -> None:
    """A service whose stop is cut short cancels what closes its sinks."""
    stuck = Target()
    stuck.gate.clear()
    sinks = sinks_with(tmp_path, stuck, delivery=spooling(max_count=2))
    await sinks.open()
    for n in range(5):
        await sinks.emit({"n": n})
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await sinks.close(timeout=3600.0)
    target = Target()
    async with sinks_with(tmp_path, target):
        await target.until(5)
    assert sorted(str(item) for item in target.got) == sorted(str({"n": n}) for n in range(5))


async def test_a_full_spool_fails_runs_and_holds_services_back(tmp_path: Path) -> None:
    target = Target(down=True)
    delivery = spooling(spool_retry=Backoff.constant(3600.0), max_count=1)
    async with sinks_with(tmp_path, target, delivery=delivery, bytes_=2000) as sinks:
        session = sinks.session(run_of(0))
        await session.emit({"text": "x" * 5000})
        with pytest.raises(SinkWriteError, match=r"refused; they could not be kept either: .* is full: it holds 0 of"):
            await session.finish()
        await sinks.emit({"text": "y" * 5000})
        flushed = asyncio.create_task(sinks.flush())
        await eventually(lambda: target.attempts > 5)
        assert not flushed.done()
        target.down = False
        await flushed
    assert [{"text": "y" * 5000}] == target.got


@dataclass
class Unregistered(Trade):
    """A subclass that the sink takes but nobody registered."""


async def test_an_item_that_could_not_be_kept_is_refused_where_it_is_emitted(tmp_path: Path) -> None:
    target = Target()
    async with sinks_with(tmp_path, target) as sinks:
        session = sinks.session(run_of(0))
        for emit in (session.emit, sinks.emit):
            with pytest.raises(InvalidItemError, match="the type Unregistered is not registered") as refused:
                await emit(Unregistered("A", 1.0))
            assert "types=[Unregistered]" in str(refused.value.hint)
            with pytest.raises(InvalidItemError, match="sink 'target' cannot take the item"):
                await emit({"n": object()})
        await session.emit(Trade("B", 2.0))
        await session.finish()
    assert [Trade("B", 2.0)] == target.got


async def test_an_item_that_lost_its_form_meanwhile_fails_its_run_alone(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    target, bad_one = Target(down=True), Trade("A", 1.0)
    async with sinks_with(tmp_path, target) as sinks:
        bad, good = sinks.session(run_of(0)), sinks.session(run_of(1))
        await bad.emit(bad_one)
        bad_one.price = object()  # type: ignore[assignment]  # what nothing can be made of
        await good.emit(Trade("B", 2.0))
        with pytest.raises(SinkWriteError, match="they could not be kept either: the log says why"):
            await bad.finish()
        await good.finish()
        assert ({}, {"target": 1}) == (bad.spooled, good.spooled)
        target.down = False
        await target.until(1)
    assert [Trade("B", 2.0)] == target.got
    assert "sink target: an item cannot be kept on disk" in caplog.text


async def test_a_disk_that_refuses_fails_the_run(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "spool").write_text("a file where the folder should be")
    sinks = sinks_with(tmp_path / "spool" / "deeper", Target(down=True))
    await sinks.open()
    session = sinks.session(run_of(0))
    await session.emit({"n": 1})
    with pytest.raises(SinkWriteError):
        await session.finish()
    assert "the spool: [Errno 20]" in caplog.text
    await sinks.close()


async def test_a_letter_whose_bytes_are_damaged_is_put_aside(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    target = Target(down=True)
    async with sinks_with(tmp_path, target, delivery=spooling(spool_tries=1)) as sinks:
        for n in range(2):
            await sinks.emit({"n": n})
            await sinks.flush()
        await eventually(lambda: spool_of(sinks).stats().dead_count == 2)
        damage(tmp_path)
        assert [[{"n": 1}]] == [one.items for one in await spool_of(sinks).dead_letters()]
        target.down = False
        assert await spool_of(sinks).replay() == 1
        await target.until(1)
    assert target.got == [{"n": 1}]


async def test_a_letter_that_is_damaged_while_it_waits_is_put_aside(tmp_path: Path) -> None:
    target = Target(down=True)
    async with sinks_with(tmp_path, target, delivery=spooling(spool_tries=10**6)) as sinks:
        for n in range(2):
            await sinks.emit({"n": n})
            await sinks.flush()
        target.gate.clear()
        target.tried.clear()
        await target.tried.wait()
        damage(tmp_path)
        target.gate.set()
        await eventually(lambda: spool_of(sinks).stats().dead_count == 1)
        target.down = False
        await target.until(1)
    assert target.got == [{"n": 1}]


async def test_a_record_that_is_no_letter_is_put_aside(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = SpoolFolder(tmp_path, max_bytes=10_000)
    folder.open().put([b"\xc0"])
    folder.close()
    async with sinks_with(tmp_path, Target()) as sinks:
        assert spool_of(sinks).stats().dead_count == 1
    assert "letter 1 cannot be read" in caplog.text


async def test_a_type_that_is_registered_no_more_ends_as_a_dead_letter(tmp_path: Path) -> None:
    async with sinks_with(tmp_path, Target(down=True)) as sinks:
        await sinks.emit(Trade("A", 1.0))
        await sinks.flush()
    later = SinkSet(spool=tmp_path)
    later.add(Target(), types=[dict], name="target", delivery=spooling(spool_tries=2))
    async with later:
        await eventually(lambda: spool_of(later).stats().dead_count == 1)
        (dead,) = await spool_of(later).dead_letters()
    assert (dead.reason, dead.items) == ("KeyError: 'Trade'", [{"symbol": "A", "price": 1.0}])


async def test_without_items_nothing_is_made_on_disk(tmp_path: Path) -> None:
    async with sinks_with(tmp_path / "spool", Target()) as sinks:
        await sinks.emit({"n": 1})
        spool = spool_of(sinks)
        assert (await spool.dead_letters(), await spool.replay()) == ([], 0)
        await spool.drop([1])
    assert not (tmp_path / "spool").exists()
