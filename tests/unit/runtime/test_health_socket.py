"""The health of a program is read over its socket, by whoever owns it, as long as the program runs."""

import asyncio
import os
import socket
from pathlib import Path

import pytest

from mainspring.base import encode_json
from mainspring.errors import MisuseError, UnreachableProgramError
from mainspring.runtime import HealthReport, HealthSocket, Service, ServiceHealth, entrypoint, read_health


class Sick(Service):
    """Runs, and is of no use."""

    async def start(self) -> None: ...

    def healthy(self) -> bool:
        return False


async def test_the_report_is_that_of_the_program(tmp_path: Path) -> None:
    path = tmp_path / "health"
    async with entrypoint(Sick(), HealthSocket(path=path), log_config=False, catch_signals=()) as program:
        assert program.health() == await read_health(path)
        assert not (await read_health(path)).healthy
        assert 0o600 == path.stat().st_mode & 0o777
    assert not path.exists()
    with pytest.raises(UnreachableProgramError, match=r"no program answers at .*: No such file or directory\n"):
        await read_health(path)


async def test_a_socket_that_a_successor_has_made_stays(tmp_path: Path) -> None:
    path = tmp_path / "health"
    async with entrypoint(HealthSocket(path=path), log_config=False, catch_signals=()):
        path.unlink()
        path.touch()
    assert path.exists()


async def test_a_socket_that_a_dead_program_left_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "health"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    async with entrypoint(HealthSocket(path=str(path)), log_config=False, catch_signals=()):
        assert (await read_health(path)).ready


async def test_what_belongs_to_others_stays(tmp_path: Path) -> None:
    path = tmp_path / "health"
    path.write_text("a file")
    with pytest.raises(MisuseError, match="is not a socket"):
        async with entrypoint(HealthSocket(path=path), log_config=False, catch_signals=()):
            raise NotImplementedError
    assert "a file" == path.read_text()
    path.unlink()
    async with entrypoint(HealthSocket(path=path), log_config=False, catch_signals=()):
        with pytest.raises(MisuseError, match="belongs to a program that runs"):
            async with entrypoint(HealthSocket(path=path), log_config=False, catch_signals=()):
                raise NotImplementedError
        assert (await read_health(path)).ready


async def test_a_long_report_is_read_to_its_end(tmp_path: Path) -> None:
    service = ServiceHealth("Sick", "failed", ready=False, healthy=False, restart_count=0, error="E" * 100)
    report = HealthReport(ready=False, healthy=False, services=(service,) * 10_000)

    def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(encode_json(report))
        writer.close()

    async with await asyncio.start_unix_server(answer, tmp_path / "health"):
        assert report == await read_health(tmp_path / "health", timeout=60)


async def test_a_program_that_does_not_answer_is_given_up(tmp_path: Path) -> None:
    path = tmp_path / "health"

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    async with await asyncio.start_unix_server(silent, path):
        with pytest.raises(UnreachableProgramError, match=r"no answer within 0.01 s"):
            await read_health(os.fspath(path), timeout=0.01)
