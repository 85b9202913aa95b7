"""A process removes the file of its own socket, and nobody else's."""

import os
import socket
from pathlib import Path

import pytest

from mainspring.transport import OwnSocketFile


def test_its_own_file_is_removed_and_one_that_is_gone_not_missed(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(path))
        file = OwnSocketFile(path)
        assert f"<OwnSocketFile {path}>" == repr(file)
        file.remove()
        assert not path.exists()
        file.remove()


def test_a_file_of_another_stays(tmp_path: Path) -> None:
    path = str(tmp_path / "socket")
    with socket.socket(socket.AF_UNIX) as first, socket.socket(socket.AF_UNIX) as second:
        first.bind(path)
        file = OwnSocketFile(path)
        os.unlink(path)
        second.bind(path)
        file.remove()
        assert os.path.exists(path)


def test_a_successor_s_file_stays_when_it_is_removed_twice(tmp_path: Path) -> None:
    """The kernel may give the number of a file to the next one as soon as the first socket is closed."""
    path = str(tmp_path / "socket")
    with socket.socket(socket.AF_UNIX) as first:
        first.bind(path)
        file = OwnSocketFile(path)
        file.remove()
    with socket.socket(socket.AF_UNIX) as second:
        second.bind(path)
        file.remove()
        assert os.path.exists(path)


def test_what_cannot_be_removed_stops_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: object) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    path = tmp_path / "socket"
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(path))
        file = OwnSocketFile(path)
        monkeypatch.setattr(os, "unlink", refuse)
        file.remove()
        monkeypatch.setattr(os, "lstat", refuse)
        OwnSocketFile(path).remove()
    assert path.is_socket()


def test_who_never_had_a_file_removes_none(tmp_path: Path) -> None:
    file = OwnSocketFile(tmp_path / "file")
    (tmp_path / "file").touch()
    file.remove()
    assert (tmp_path / "file").exists()
