"""Spools are looked into from outside, whoever owns them, and their dead letters are asked to be tried again."""

from pathlib import Path

import pytest
from tests.unit.sinks.support_targets import Target, Trade, spooling

from mainspring.base import Backoff
from mainspring.sinks import SinkSet, survey_spools
from mainspring.sinks._replay import ask_for_replay, drop_letters, take_requests
from mainspring.testing import eventually

LATER = Backoff.constant(3600.0)


def sinks_with(folder: Path, target: Target, *, tries: int = 1) -> SinkSet:
    sinks = SinkSet(spool=folder)
    sinks.add(target, types=[Trade, dict], name="target", delivery=spooling(spool_tries=tries))
    sinks.add(Target(down=True), name="down", delivery=spooling(spool_retry=LATER))
    return sinks


async def test_what_lies_in_a_spool_is_seen_from_outside_and_stays(tmp_path: Path) -> None:
    assert [] == survey_spools(tmp_path / "none")
    async with sinks_with(tmp_path, Target(poison=[{"n": 1}])) as sinks:
        await sinks.emit({"n": 1}, key="k")
        await sinks.emit("a", sink="down")
        await sinks.emit("b", sink="down")
        await sinks.flush()
        spool = sinks.spool
        assert spool is not None
        await eventually(lambda: spool.stats().dead_count == 1)
        (seen,) = survey_spools(tmp_path)
        assert (True, {"down": 2}) == (seen.is_held, dict(seen.waiting))
        (letter,) = seen.dead
        assert ("target", "dict", [{"n": 1}]) == (letter.sink, letter.item_type, letter.items)
        assert seen.folder.name == letter.folder
        assert [letter] == await spool.dead_letters()
        assert spool.stats().size_bytes == seen.size_bytes
        numbers = {one.sink: one for one in sinks.stats()}
        assert (1, 2) == (numbers["target"].spooled_count, numbers["down"].spooled_count)
    (left,) = survey_spools(tmp_path)
    assert (False, {"down": 2}, [letter]) == (left.is_held, left.waiting, left.dead)
    (left,) = survey_spools(tmp_path, trouble=lambda sink: f"{sink} is gone")
    assert ({}, ["OSError: refused", "down is gone"]) == (left.waiting, [one.reason for one in left.dead])


async def test_a_running_process_tries_dead_letters_again_when_it_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mainspring.sinks._spool.REQUEST_INTERVAL", 0.005)
    target = Target(poison=[{"n": 1}, {"n": 2}])
    async with sinks_with(tmp_path, target) as sinks:
        await sinks.emit({"n": 1})
        await sinks.flush()
        await sinks.emit({"n": 2})
        await sinks.flush()
        spool = sinks.spool
        assert spool is not None
        await eventually(lambda: spool.stats().dead_count == 2)
        target.poison.clear()
        (seen,) = survey_spools(tmp_path)
        (seen.folder / "odd.replay").write_bytes(b"no request")
        ask_for_replay(seen.folder, [seen.dead[0].letter_id])
        await target.until(1)
        await eventually(lambda: spool.stats().dead_count == 1)
        ask_for_replay(seen.folder, None)
        await target.until(2)
        await eventually(lambda: not list(seen.folder.glob("*.replay")))
        assert 2 == next(one.written_count for one in sinks.stats() if one.sink == "target")
    assert [] == survey_spools(tmp_path)


async def test_dead_letters_are_dropped_in_running_and_in_ended_processes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mainspring.sinks._spool.REQUEST_INTERVAL", 0.005)
    async with sinks_with(tmp_path, Target(down=True)) as sinks:
        for n in range(3):
            await sinks.emit({"n": n})
            await sinks.flush()
        await sinks.emit("a", sink="down")
        await sinks.flush()
        spool = sinks.spool
        assert spool is not None
        await eventually(lambda: spool.stats().dead_count == 3)
        (seen,) = survey_spools(tmp_path)
        assert not drop_letters(seen.folder, [seen.dead[0].letter_id])
        await eventually(lambda: spool.stats().dead_count == 2)
    (left,) = survey_spools(tmp_path)
    assert [[{"n": 1}], [{"n": 2}]] == [one.items for one in left.dead]
    assert drop_letters(left.folder, [left.dead[1].letter_id])
    (left,) = survey_spools(tmp_path)
    assert ([[{"n": 1}]], {"down": 1}) == ([one.items for one in left.dead], left.waiting)


def test_a_request_that_cannot_be_read_keeps_no_other_from_being_met(tmp_path: Path) -> None:
    for name in ("0.replay", "z.replay"):  # one that comes before the others, and one behind them
        (tmp_path / name).mkdir()
    ask_for_replay(tmp_path, [3, 4])
    ask_for_replay(tmp_path, None)
    assert [[3, 4], None] == take_requests(tmp_path)
    with pytest.raises(IsADirectoryError):
        take_requests(tmp_path)


def test_requests_are_taken_once(tmp_path: Path) -> None:
    ask_for_replay(tmp_path, [3, 4])
    ask_for_replay(tmp_path, None)
    assert [[3, 4], None] == take_requests(tmp_path)
    assert [] == take_requests(tmp_path)


async def test_a_folder_that_cannot_be_read_does_not_end_the_listening(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("mainspring.sinks._spool.REQUEST_INTERVAL", 0.005)
    target = Target(poison=[{"n": 1}])
    async with sinks_with(tmp_path, target) as sinks:
        await sinks.emit({"n": 1})
        await sinks.flush()
        spool = sinks.spool
        assert spool is not None
        await eventually(lambda: spool.stats().dead_count == 1)
        (seen,) = survey_spools(tmp_path)
        (seen.folder / "a.replay").mkdir()
        await eventually(lambda: "cannot be done" in caplog.text)
        (seen.folder / "a.replay").rmdir()
        target.poison.clear()
        ask_for_replay(seen.folder, None)
        await target.until(1)


def test_a_letter_that_cannot_be_read_is_passed_over(tmp_path: Path) -> None:
    from mainspring.sinks._segments import SegmentLog

    folder = tmp_path / "node"
    folder.mkdir()
    log = SegmentLog(folder, max_bytes=1 << 20)
    log.open()
    log.put([b"no letter"])
    log.close()
    (seen,) = survey_spools(tmp_path)
    assert ({}, []) == (seen.waiting, seen.dead)


def test_a_segment_that_is_gone_for_good_is_an_error(tmp_path: Path) -> None:
    folder = tmp_path / "node"
    folder.mkdir()
    (folder / "0000000001.seg").symlink_to(tmp_path / "nowhere")
    with pytest.raises(FileNotFoundError):
        survey_spools(tmp_path)
