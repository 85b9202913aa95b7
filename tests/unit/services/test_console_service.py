"""Operators of this machine run commands in the program over its socket, and nobody else does."""

import asyncio
import json
import logging
import os
import socket
import subprocess
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any  # Any: JSON

import pytest
from tests.unit.services.support_programs import program
from tests.unit.storage.support_users import NOBODY, unprivileged

from mainspring.errors import BindError, InvalidArgumentError, MisuseError
from mainspring.services import ConsoleService
from mainspring.testing import eventually
from mainspring.tools import Dispatch

STRANGER = f"""
import os, socket, sys
os.chdir(sys.argv[1])
os.setgroups([]); os.setgid({NOBODY}); os.setuid({NOBODY})
try:
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect("console.sock")
        print(repr(sock.recv(1000)))
except PermissionError:
    print("not permitted")
"""


class Console:
    """What an operator's side does: sends lines, reads answers."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def ask(self, line: str) -> Any:
        return await self.send(json.dumps({"line": line}).encode())

    async def send(self, raw: bytes) -> Any:
        self.writer.write(raw + b"\n")
        return await self.heard()

    async def heard(self) -> Any:
        line = await self.reader.readline()
        return json.loads(line) if line else None


@asynccontextmanager
async def console_on(path: Path | str) -> AsyncGenerator[Console]:
    reader, writer = await asyncio.open_unix_connection(path)
    try:
        yield Console(reader, writer)
    finally:
        writer.close()
        await writer.wait_closed()


def sample() -> Dispatch:
    commands = Dispatch()

    @commands.command()
    async def double(number: int, state: int) -> int:
        """Double it.

        And more.
        """
        return 2 * number + state

    @commands.command()
    async def fail() -> None:
        """Fail."""
        raise KeyError("no idea")

    @commands.command()
    async def hang() -> None:
        """Never end."""
        await asyncio.Event().wait()

    @commands.command()
    async def leave() -> None:
        """Do as argparse does with a word that it does not know."""
        sys.exit(2)

    @commands.command()
    async def lose() -> None:
        """Wait for something that somebody else cancels."""
        lost = asyncio.get_running_loop().create_future()
        lost.cancel()
        await lost

    return commands


async def test_an_operator_is_greeted_and_answered(tmp_path: Path) -> None:
    path = tmp_path / "run" / "console.sock"
    service = ConsoleService(path, commands=sample(), program="shop", state=1)
    async with program(service):
        assert 0o600 == path.stat().st_mode & 0o777
        assert 0o700 == path.parent.stat().st_mode & 0o777
        async with console_on(path) as console:
            greeting = await console.heard()
            assert ("shop", os.getpid(), "Double it.") == (
                greeting["program"],
                greeting["pid"],
                greeting["commands"]["double"],
            )
            assert {"status": "done", "text": "43"} == await console.ask("dou 21")
            assert "invalid" == (await console.ask("double x"))["status"]
            assert "help" == (await console.ask("double?"))["status"]
            assert "ambiguous" == (await console.ask("s"))["status"]
            services = (await console.ask("services"))["value"]
            assert ["ConsoleService"] == [one["name"] for one in services]
            assert f"<ConsoleService {path} consoles=1>" == repr(service)
    assert not path.exists()


async def test_a_command_that_fails_ends_neither_console_nor_program(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "console.sock"
    async with program(ConsoleService(path, commands=sample(), state=0)), console_on(path) as console:
        await console.heard()
        assert {"status": "failed", "text": "KeyError: 'no idea'"} == await console.ask("fail")
        assert [logging.ERROR] == [one.levelno for one in caplog.records if "a command failed" in one.message]
        assert "failed" == (await console.send(b"no JSON"))["status"]
        assert "failed" == (await console.send(b'{"word": 1}'))["status"]
        assert "the command tried to end the program" == (await console.ask("leave"))["text"]
        assert "what the command waited for was cancelled" == (await console.ask("lose"))["text"]
        assert "4" == (await console.ask("double 2"))["text"]


async def test_a_command_that_hangs_is_given_up(tmp_path: Path) -> None:
    path = tmp_path / "console.sock"
    service = ConsoleService(path, commands=sample(), command_timeout=0.02)
    async with program(service), console_on(path) as console:
        await console.heard()
        answer = await console.ask("hang")
        assert "failed" == answer["status"]
        assert "0.02 s" in answer["text"]


async def test_a_line_without_an_end_closes_the_console(tmp_path: Path) -> None:
    path = tmp_path / "console.sock"
    async with program(ConsoleService(path)), console_on(path) as console:
        await console.heard()
        console.writer.write(bytes(100_000))
        assert b"" == await console.reader.read()


async def test_the_end_of_the_program_ends_consoles(tmp_path: Path) -> None:
    path = tmp_path / "console.sock"
    service = ConsoleService(path, commands=sample())
    async with program(service):
        reader, writer = await asyncio.open_unix_connection(path)
        console = Console(reader, writer)
        await console.heard()
        writer.write(b'{"line": "hang"}\n')
        await eventually(lambda: 1 == service.connection_count)
    assert await console.heard() is None
    writer.close()


async def test_those_who_are_no_operators_hear_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    class Closed(ConsoleService):
        def is_operator(self, uid: int) -> bool:
            return uid == os.geteuid() + 1

    path = tmp_path / "console.sock"
    async with program(Closed(path)), console_on(path) as console:
        assert await console.heard() is None
        assert f"refused user {os.geteuid()}" in caplog.text


async def test_other_users_are_kept_out_by_the_mode_and_by_their_credentials() -> None:
    """The file's mode is the first door; where somebody has opened it, the kernel's word is the second."""
    if os.geteuid() != 0:  # only root can become somebody else
        assert not ConsoleService("unused").is_operator(os.geteuid() + 1)
        return
    with unprivileged() as folder:
        path = folder / "console.sock"
        async with program(ConsoleService(path)):
            assert "not permitted" == await stranger(folder)
            path.chmod(0o666)
            assert "b''" == await stranger(folder)


async def stranger(folder: Path) -> str:
    command = [sys.executable, "-c", STRANGER, str(folder)]
    child = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, timeout=60, check=True)
    return child.stdout.strip()


async def test_a_socket_that_was_taken_before_the_start_is_used(tmp_path: Path) -> None:
    path = tmp_path / "console.sock"
    service = ConsoleService(path)
    service.bind()
    async with program(service), console_on(path) as console:
        assert "program" == (await console.heard())["program"]


def test_all_folders_that_are_made_are_private(tmp_path: Path) -> None:
    service = ConsoleService(tmp_path / "state" / "run" / "console.sock")
    service.bind()
    assert service.sock is not None
    service.sock.close()
    assert [0o700] * 2 == [(tmp_path / each).stat().st_mode & 0o777 for each in ("state", "state/run")]


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(BindError, match=r"cannot listen on unix://.*Not a directory"):
        ConsoleService(tmp_path / "file" / "run" / "console.sock").bind()


async def test_two_programs_do_not_share_a_socket(tmp_path: Path) -> None:
    path = tmp_path / "console.sock"
    async with program(ConsoleService(path)):
        with pytest.raises(MisuseError, match="belongs to a program that runs"):
            async with program(ConsoleService(path)):
                raise NotImplementedError
        async with console_on(path) as console:
            assert await console.heard()


async def test_a_file_that_was_removed_meanwhile_is_not_missed(tmp_path: Path) -> None:
    path = tmp_path / "console.sock"
    async with program(ConsoleService(path)):
        path.unlink()
    with socket.socket(socket.AF_UNIX) as sock, pytest.raises(FileNotFoundError):
        sock.connect(str(path))


async def test_a_socket_that_a_successor_has_made_stays(tmp_path: Path) -> None:
    path = tmp_path / "console.sock"
    async with program(ConsoleService(path)):
        path.unlink()
        path.touch()
    assert path.exists()


def test_limits_are_checked_at_once() -> None:
    with pytest.raises(InvalidArgumentError, match="command_timeout"):
        ConsoleService("s", command_timeout=0)
