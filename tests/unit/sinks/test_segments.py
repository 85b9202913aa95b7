"""The log on disk: what was kept is there after a restart, whatever its bytes and its disk went through."""

import os
from pathlib import Path

import pytest

from mainspring.base import encode_msgpack
from mainspring.errors import SpoolFullError
from mainspring.sinks._segments import MARK, SegmentLog, frame


def log_in(folder: Path, *, max_bytes: int = 1 << 20, segment_bytes: int = 1 << 16) -> SegmentLog:
    log = SegmentLog(folder, max_bytes=max_bytes, segment_bytes=segment_bytes)
    log.open()
    return log


def contents(log: SegmentLog) -> dict[int, bytes | None]:
    return {number: log.read(number) for number in sorted(log.places)}


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("*.seg"))


def test_what_was_put_is_there_after_a_restart(tmp_path: Path) -> None:
    log = log_in(tmp_path)
    assert log.put([b"one", b"two"]) == [1, 2]
    assert log.put([b"three"], tries=4) == [3]
    log.close()
    again = log_in(tmp_path)
    assert contents(again) == {1: b"one", 2: b"two", 3: b"three"}
    assert again.places[3].tries == 4
    assert again.put([b"four"]) == [4]
    again.close()
    assert oct((tmp_path / files(tmp_path)[0]).stat().st_mode)[-3:] == "600"


def test_what_was_put_is_on_disk_when_that_returns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A power cut would show it; here, that the disk was asked for it after the last byte."""
    calls: list[str] = []
    write, sync = os.pwrite, os.fsync

    def noted_write(file: int, data: bytes, offset: int) -> int:
        calls.append("write")
        return write(file, data, offset)

    def noted_sync(file: int) -> None:
        calls.append("sync")
        sync(file)

    monkeypatch.setattr(os, "pwrite", noted_write)
    monkeypatch.setattr(os, "fsync", noted_sync)
    log = log_in(tmp_path)
    log.put([b"one"])
    del calls[:]
    log.put([b"two"])
    assert ["write", "sync"] == calls
    log.close()


def test_notes_survive_a_restart(tmp_path: Path) -> None:
    log = log_in(tmp_path)
    log.put([b"a", b"b", b"c", b"d"])
    log.done([1, 99])
    log.failed([2])
    log.failed([2])
    log.bury([3], "broken")
    log.bury([4], "broken")
    log.revive([4])
    log.failed([7])
    for one in (log, log_in(tmp_path)):
        assert one.read(1) is None
        assert {n: (p.tries, p.dead) for n, p in one.places.items()} == {2: (2, None), 3: (0, "broken"), 4: (0, None)}
        one.close()


def test_segments_go_when_all_in_them_is_done(tmp_path: Path) -> None:
    log = log_in(tmp_path, segment_bytes=100)
    ids = [log.put([b"x" * 80])[0] for _ in range(4)]
    assert len(files(tmp_path)) == 4
    log.done(ids[1:3])
    assert len(files(tmp_path)) == 5  # the oldest is alive, and what ends the others must stay with them
    log.done(ids[:1])
    assert len(files(tmp_path)) == 2
    log.close()
    again = log_in(tmp_path)
    assert list(again.places) == ids[3:]
    again.done(ids[3:])
    again.close()
    assert list(log_in(tmp_path).places) == []
    assert files(tmp_path) == []


def test_a_full_log_refuses_all_or_nothing(tmp_path: Path) -> None:
    log = log_in(tmp_path, max_bytes=1000)
    log.put([b"x" * 400])
    with pytest.raises(SpoolFullError, match="of at most 1000 bytes"):
        log.put([b"y" * 300, b"z" * 300])
    assert list(contents(log).values()) == [b"x" * 400]
    assert log.size <= 1000
    log.close()


def test_what_is_done_makes_room_behind_what_is_alive(tmp_path: Path) -> None:
    log = log_in(tmp_path, max_bytes=4000, segment_bytes=1000)
    old = log.put([b"old"], tries=3)
    log.bury(old, "why")
    for _ in range(100):
        log.done(log.put([b"x" * 400]))
        assert log.size <= 4000
    again = log_in(tmp_path, max_bytes=4000, segment_bytes=1000)
    for one in (log, again):
        assert contents(one) == {1: b"old"}
        assert (one.places[1].tries, one.places[1].dead) == (3, "why")
        one.close()


def test_replacing_keeps_the_new_instead_of_the_old(tmp_path: Path) -> None:
    log = log_in(tmp_path)
    old = log.put([b"both"])
    assert log.put([b"a", b"b"], tries=2, replaces=old) == [2, 3]
    for one in (log, log_in(tmp_path)):
        assert contents(one) == {2: b"a", 3: b"b"}
        one.close()


def test_a_torn_tail_is_skipped(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    log = log_in(tmp_path)
    log.put([b"whole"])
    log.put([b"torn"])
    log.close()
    path = tmp_path / files(tmp_path)[0]
    os.truncate(path, path.stat().st_size - 1)
    again = log_in(tmp_path)
    assert contents(again) == {1: b"whole"}
    assert "cannot be read" in caplog.text
    assert again.put([b"next"]) == [2]
    again.close()
    assert contents(log_in(tmp_path)) == {1: b"whole", 2: b"next"}


def test_damage_in_the_middle_takes_only_what_it_hit(tmp_path: Path) -> None:
    log = log_in(tmp_path)
    log.put([b"first"])
    log.put([b"second"])
    log.put([b"third"])
    place = log.places[2]
    log.close()
    path = tmp_path / files(tmp_path)[0]
    data = bytearray(path.read_bytes())
    data[place.offset + 5] ^= 0xFF  # in its length
    path.write_bytes(data)
    again = log_in(tmp_path)
    assert contents(again) == {1: b"first", 3: b"third"}
    again.close()


def test_damage_that_comes_later_is_noticed_when_it_is_read(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    log = log_in(tmp_path, max_bytes=2000, segment_bytes=500)
    log.put([b"good"])
    log.put([b"x" * 30])
    place = log.places[2]
    path = tmp_path / files(tmp_path)[0]
    data = bytearray(path.read_bytes())
    data[place.offset + place.length - 1] ^= 0xFF
    path.write_bytes(data)
    assert log.read(2) is None
    for _ in range(6):
        log.done(log.put([b"y" * 300]))
    assert contents(log) == {1: b"good"}
    assert "record 2 is damaged and lost" in caplog.text
    log.close()


def test_half_a_head_at_the_end_is_skipped(tmp_path: Path) -> None:
    (tmp_path / "0000000001.seg").write_bytes(frame(encode_msgpack(["put", 5, 0, None, b"a"])) + MARK + b"\x00")
    log = log_in(tmp_path)
    assert contents(log) == {5: b"a"}
    log.close()


def test_records_of_another_kind_are_ignored(tmp_path: Path) -> None:
    (tmp_path / "0000000003.seg").write_bytes(frame(b"\xc1") + frame(b"\x91\x01") + frame(b"\x92\xa3put\x91\x01"))
    (tmp_path / "notes.seg").write_text("not ours")
    log = log_in(tmp_path)
    assert (log.places, log.size) == ({}, 0)
    assert log.put([b"a"]) == [1]
    log.close()
    assert files(tmp_path) == ["0000000004.seg", "notes.seg"]
