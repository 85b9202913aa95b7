"""Every level that had to be made is private."""

import stat
from pathlib import Path, PosixPath

import pytest

from mainspring.base import make_private_folder, sync_path


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_all_missing_parents_are_private_and_the_rest_stays_as_it_is(tmp_path: Path) -> None:
    there = tmp_path / "there"
    there.mkdir(mode=0o755)
    before = mode(there)
    made = there / "a" / "b"
    for _ in range(2):
        make_private_folder(made)
    assert [0o700, 0o700, before] == [mode(made), mode(made.parent), mode(there)]


def test_a_file_in_its_place_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for place in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(NotADirectoryError, match="file"):
            make_private_folder(place)


class Raced(PosixPath):
    """A folder that another process makes at the same moment."""

    def mkdir(self, mode: int = 0o777, parents: bool = False, exist_ok: bool = False) -> None:
        super().mkdir(mode)
        super().mkdir(mode)


def test_who_comes_second_takes_the_folder_of_the_first(tmp_path: Path) -> None:
    make_private_folder(Raced(tmp_path / "a" / "b"))
    assert 0o700 == mode(tmp_path / "a" / "b")


def test_files_and_folders_are_made_durable(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    sync_path(tmp_path / "file")
    sync_path(tmp_path)
    with pytest.raises(FileNotFoundError):
        sync_path(tmp_path / "nothing")
