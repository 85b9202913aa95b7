"""Each node's folder is its own; those of the dead are taken over."""

import os
from pathlib import Path

import pytest

from mainspring.sinks._segments import SegmentLog
from mainspring.sinks._spool_folder import SpoolFolder, take_lock


def opened(root: Path, *, max_bytes: int = 1 << 20) -> SpoolFolder:
    folder = SpoolFolder(root, max_bytes=max_bytes)
    folder.open()
    return folder


def contents(log: SegmentLog) -> list[bytes | None]:
    return [log.read(number) for number in sorted(log.places)]


def test_two_nodes_never_share_a_folder(tmp_path: Path) -> None:
    root = tmp_path / "spool"
    one, two = opened(root), opened(root)
    assert one.log.folder != two.log.folder
    assert ["700", "700", "700"] == [oct(path.stat().st_mode)[-3:] for path in (root, *root.iterdir())]
    one.close()
    two.close()
    assert list(root.iterdir()) == []
    one.close()


def test_a_folder_with_letters_stays_and_is_taken_by_the_next(tmp_path: Path) -> None:
    one = opened(tmp_path)
    one.log.put([b"a"])
    one.close()
    next_one = opened(tmp_path)
    assert (next_one.log.folder, contents(next_one.log)) == (one.log.folder, [b"a"])
    next_one.close()


def test_the_letters_of_all_the_dead_are_taken_over(tmp_path: Path) -> None:
    folders = [opened(tmp_path) for _ in range(3)]
    for number, folder in enumerate(folders):
        folder.log.bury(folder.log.put([b"dead %d" % number], tries=7), "why")
        folder.log.put([b"letter %d" % number], tries=number)
        folder.close()
    heir = opened(tmp_path)
    assert sorted(contents(heir.log), key=str) == [
        b"dead 0",
        b"dead 1",
        b"dead 2",
        b"letter 0",
        b"letter 1",
        b"letter 2",
    ]
    assert sorted((p.tries, p.dead) for p in heir.log.places.values() if p.dead) == [(7, "why")] * 3
    assert list(tmp_path.iterdir()) == [heir.log.folder]
    heir.close()


def test_what_finds_no_room_stays_with_the_dead(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folders = [opened(tmp_path) for _ in range(2)]
    for folder in folders:
        folder.log.put([b"x" * 600])
        folder.close()
    heir = opened(tmp_path, max_bytes=1000)
    assert contents(heir.log) == [b"x" * 600]
    assert "stays in" in caplog.text
    heir.close()
    assert len(list(tmp_path.iterdir())) == 2


def test_a_folder_that_cannot_be_read_is_let_go_of(tmp_path: Path) -> None:
    (tmp_path / "a" / "0000000001.seg").mkdir(parents=True)
    (tmp_path / "b").mkdir()
    folder = SpoolFolder(tmp_path, max_bytes=1000)
    with pytest.raises(IsADirectoryError):
        folder.open()
    (tmp_path / "a" / "0000000001.seg").rmdir()
    folder.open()
    folder.close()


def test_files_that_are_not_ours_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "README").write_text("hello")
    folder = opened(tmp_path)
    (folder.log.folder / "notes").write_text("hello")
    folder.close()
    assert (folder.log.folder / "notes").exists()
    assert (tmp_path / "README").exists()


def test_a_lock_file_that_was_replaced_is_not_held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever got the lock of a file that its owner had removed holds nothing."""
    (tmp_path / "gone").mkdir()
    real = os.fstat

    def moved(descriptor: int) -> os.stat_result:
        found = list(real(descriptor))
        found[1] += 1
        return os.stat_result(found)

    with monkeypatch.context() as patch:
        patch.setattr("mainspring.sinks._spool_folder.os.fstat", moved)
        assert take_lock(tmp_path / "gone") is None


def test_a_folder_whose_lock_was_removed_is_taken_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    one = opened(tmp_path)
    first = one.keep([b"a"])
    (one.log.folder / "owner.lock").unlink()
    second = one.keep([b"b"])
    assert [b"a", b"b"] == [one.log.read(number) for number in first + second]
    assert take_lock(one.log.folder) is None
    assert "0 letters are lost" in caplog.text
    one.close()


def test_a_folder_that_another_process_has_by_now_is_left_to_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    one = opened(tmp_path)
    one.keep([b"a"])
    (one.log.folder / "owner.lock").unlink()
    heir = opened(tmp_path)
    one.keep([b"b"])
    assert (contents(heir.log), contents(one.log)) == ([b"a"], [b"b"])
    assert heir.log.folder != one.log.folder
    assert "1 letters are lost" in caplog.text
    one.close()
    heir.close()


def test_a_segment_that_was_removed_is_forgotten_and_its_folder_stays_usable(tmp_path: Path) -> None:
    one = opened(tmp_path)
    one.keep([b"a"])
    (segment,) = one.log.folder.glob("*.seg")
    segment.rename(tmp_path / "moved")
    one.keep([b"b"])
    assert [b"b"] == contents(one.log)
    one.close()
    again = opened(tmp_path)
    assert [b"b"] == contents(again.log)
    again.close()


def test_a_folder_that_cannot_be_locked_keeps_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def taken_by_others(_: Path) -> None:
        return None

    one = opened(tmp_path / "spool")
    with monkeypatch.context() as patch:
        patch.setattr("mainspring.sinks._spool_folder.take_lock", taken_by_others)
        (tmp_path / "spool").rename(tmp_path / "gone")
        with pytest.raises(BlockingIOError, match="cannot be locked"):
            one.keep([b"a"])
    assert [b"b"] == [one.log.read(number) for number in one.keep([b"b"])]
    one.close()


def test_a_removed_folder_can_be_closed(tmp_path: Path) -> None:
    one = opened(tmp_path / "spool")
    (tmp_path / "spool").rename(tmp_path / "gone")
    one.close()
    assert not (tmp_path / "spool").exists()
