"""A socket file belongs to its user from the first moment, and is taken from the dead only."""

import os
import socket
import subprocess
import sys
import tempfile
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from mainspring.errors import BindError, MisuseError
from mainspring.runtime import bind_socket_file, peer_of


def test_only_its_user_may_connect_whatever_the_umask(tmp_path: Path) -> None:
    code = (
        "import os, sys; os.umask(0)\n"
        "from mainspring.runtime import bind_socket_file\n"
        "sock = bind_socket_file(sys.argv[1])\n"
        "print(oct(os.stat(sys.argv[1]).st_mode & 0o777))"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "s")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    child = subprocess.run(command, capture_output=True, text=True, env=environment, check=True, timeout=60)
    assert "0o600" == child.stdout.strip()


def test_the_kernel_tells_who_connected() -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX)
    with ours, theirs:
        assert (os.getpid(), os.geteuid()) == tuple(peer_of(ours))


def test_a_dead_program_leaves_its_place_and_a_living_one_keeps_it(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with bind_socket_file(path) as first:
        first.listen()
        with pytest.raises(MisuseError, match="belongs to a program that runs"):
            bind_socket_file(path)
    with bind_socket_file(path) as second:
        second.listen()
        assert not second.getblocking()


def test_a_program_that_starts_keeps_its_place(tmp_path: Path) -> None:
    """It was taken from one that had bound, but did not listen yet."""
    path = tmp_path / "s"
    with bind_socket_file(path), pytest.raises(MisuseError, match="belongs to a program that runs"):
        bind_socket_file(path)


def test_a_program_that_is_too_busy_for_one_more_keeps_its_place(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with ExitStack() as stack:
        stack.enter_context(bind_socket_file(path)).listen(0)
        with suppress(BlockingIOError):
            while True:
                client = stack.enter_context(socket.socket(socket.AF_UNIX))
                client.setblocking(False)
                client.connect(str(path))
        with pytest.raises(MisuseError, match="belongs to a program that runs"):
            bind_socket_file(path)


def test_what_is_no_socket_stays(tmp_path: Path) -> None:
    path = tmp_path / "s"
    path.write_text("a file")
    with pytest.raises(MisuseError, match="is not a socket"):
        bind_socket_file(path)
    assert "a file" == path.read_text()


@pytest.mark.parametrize("name", ["missing/s", "x" * 120])
def test_a_path_that_cannot_be_is_named(name: str) -> None:
    with tempfile.TemporaryDirectory() as folder, pytest.raises(BindError, match="cannot listen on unix://"):
        bind_socket_file(Path(folder) / name)
