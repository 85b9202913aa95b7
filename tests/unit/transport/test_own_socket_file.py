"""A process removes the file of its own socket, and nobody else's."""

import os
import socket
from pathlib import Path

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


def test_who_never_had_a_file_removes_none(tmp_path: Path) -> None:
    file = OwnSocketFile(tmp_path / "file")
    (tmp_path / "file").touch()
    file.remove()
    assert (tmp_path / "file").exists()
