"""A service in a process of its own begins, talks, ends and never stays behind."""

import asyncio
import functools
import logging
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.unit.services import support_processes as made
from tests.unit.services.support_programs import program

from mainspring.base import Backoff
from mainspring.errors import ChildStartError, TaskNotPicklableError
from mainspring.runtime import hear_children
from mainspring.services import ProcessService
from mainspring.testing import PythonChild, eventually

soon = functools.partial(eventually, within=30.0)  # processes take their time on a busy machine


def is_gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


@pytest.mark.parametrize("method", ["forkserver", "spawn", "fork"])
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded, use of fork:DeprecationWarning")
async def test_a_process_begins_and_ends_at_sigint(method: str, tmp_path: Path) -> None:
    service = made.Waiting(path=str(tmp_path / "pid"), start_method=method)
    async with program(service):
        await soon((tmp_path / "pid").exists)
        pid = int((tmp_path / "pid").read_text())
        assert pid == service.pid
        assert f"<Waiting pid={pid}>" == repr(service)
        assert service.healthy()
    assert 130 == service.exit_code
    assert is_gone(pid)
    assert "<Waiting exit_code=130>" == repr(service)


@pytest.mark.parametrize("method", ["spawn", "fork"])
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded, use of fork:DeprecationWarning")
async def test_a_program_that_ignores_sigint_ends_its_process_with_it(method: str, tmp_path: Path) -> None:
    """As one does that a shell has started in the background."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        service = made.Waiting(path=str(tmp_path / "pid"), start_method=method)
        async with program(service):
            await soon((tmp_path / "pid").exists)
    finally:
        signal.signal(signal.SIGINT, before)
    assert 130 == service.exit_code


async def test_a_deaf_process_is_killed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    service = made.Deaf(path=str(tmp_path / "pid"), process_stop_timeout=0.05)
    async with program(service):
        await soon((tmp_path / "pid").exists)
    assert -signal.SIGKILL == service.exit_code
    assert "did not end within 0.05 s of SIGINT and was killed" in caplog.text


@pytest.mark.parametrize(("code", "level", "healthy"), [(0, logging.INFO, True), (42, logging.ERROR, False)])
async def test_an_end_is_told_with_its_exit_code(
    code: int, level: int, healthy: bool, caplog: pytest.LogCaptureFixture
) -> None:
    service = made.Ending(code=code)
    with caplog.at_level(logging.INFO, logger="mainspring.services"):
        async with program(service):
            await soon(lambda: f"ended with exit code {code}" in caplog.text)
            assert (code, healthy, None) == (service.exit_code, service.healthy(), service.pid)
    assert [level] == [one.levelno for one in caplog.records if "ended with" in one.getMessage()]


async def test_its_log_records_come_to_the_program(caplog: pytest.LogCaptureFixture) -> None:
    hear_children()
    async with program(made.Talking()):
        await soon(lambda: "hello from the other side" in caplog.text)
    (record,) = [one for one in caplog.records if "hello" in one.getMessage()]
    assert (made.__name__, os.getpid()) == (record.name, os.getpid())
    assert os.getpid() != record.process


async def test_it_is_heard_whatever_it_says_at_once() -> None:
    hear_children()
    said: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: said.append(record.getMessage()[:11])  # type: ignore[method-assign]
    made.log.addHandler(handler)
    made.log.propagate = False
    try:
        async with program(made.Verbose()):
            await soon(lambda: "still heard" in said)
    finally:
        made.log.removeHandler(handler)
        made.log.propagate = True
    assert ["much 0 xxxx", "much 1 xxxx", "much 2 xxxx", "y" * 11, "still heard"] == said


@pytest.mark.allow_leaks("children", reason="what a service's process leaves behind is its own")
async def test_a_grandchild_that_stays_delays_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mainspring.services._process_service._LAST_WORDS_SECONDS", 0.05)
    service = made.Parent()
    async with program(service):
        await soon(lambda: service.exit_code == 0)


async def test_a_process_that_never_begins_is_an_error_of_the_start() -> None:
    with pytest.raises(ChildStartError, match="NeverBegins did not start: it ended with exit code 3"):
        async with program(made.NeverBegins()):
            raise NotImplementedError


async def test_a_service_that_cannot_travel_is_an_error_of_the_start() -> None:
    class Local(ProcessService):
        def in_process(self) -> None:
            raise NotImplementedError

    service = Local()
    with pytest.raises(TaskNotPicklableError):
        async with program(service):
            raise NotImplementedError
    assert not service.healthy()


async def test_a_start_that_is_cancelled_leaves_no_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    waiting = asyncio.Event()

    async def never(*_: object, **__: object) -> None:
        waiting.set()
        await asyncio.Event().wait()

    service = made.Waiting(path=str(tmp_path / "pid"))
    starting = asyncio.create_task(program(service).__aenter__())
    with monkeypatch.context() as patch:
        patch.setattr("mainspring.services._process_service.asyncio.wait", never)
        await waiting.wait()
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    assert service.pid is None


@pytest.mark.parametrize("kind", ["SIGKILL", "SIGTERM"])
async def test_a_process_ends_with_the_program(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "pid"
    code = f"""
import asyncio
from tests.unit.services.support_processes import Waiting
from mainspring.runtime import run
if __name__ == "__main__":
    run(asyncio.Event().wait(), Waiting(path={str(path)!r}), log_config=False)
"""
    async with PythonChild("-c", code) as child:
        await soon(path.exists)
        os.kill(child.pid, getattr(signal, kind))
        await soon(lambda: is_gone(int(path.read_text())))


async def test_a_process_that_dies_comes_again(tmp_path: Path, mainspring_count: Callable[[int, int], int]) -> None:
    path = tmp_path / "lives"
    path.touch()
    lives = mainspring_count(5, 100)
    service = made.Mortal(path=str(path), backoff=Backoff.constant(0.0))
    async with program(service):
        await soon(lambda: len(path.read_text()) >= 2 * lives)
        assert service.restart_count >= lives - 1
    assert service.pid is None


async def test_pauses_that_end_end_the_service(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    service = made.Mortal(path=str(tmp_path / "lives"), backoff=Backoff.constant(0.0, max_tries=2))
    async with program(service):
        await soon(lambda: "is not started again" in caplog.text)
        assert not service.healthy()
    assert 42 == service.exit_code
    assert "x\nx\n" == (tmp_path / "lives").read_text()


async def test_a_process_that_ran_well_begins_its_pauses_anew(tmp_path: Path) -> None:
    path = tmp_path / "lives"
    path.touch()
    service = made.Mortal(path=str(path), backoff=Backoff.constant(0.0, max_tries=2), process_poll_timeout=0.0)
    async with program(service):
        await soon(lambda: len(path.read_text()) >= 8)


async def test_a_restart_that_fails_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "lives"
    path.touch()
    service = made.Mortal(path=str(path), backoff=Backoff.constant(0.0))

    async def no_room(*_: object, **__: object) -> None:
        raise OSError(24, "Too many open files")

    async with program(service):
        with monkeypatch.context() as patch:
            patch.setattr("mainspring.services._process_service.start_child", no_room)
            await soon(lambda: "Too many open files" in caplog.text)
        before = len(path.read_text())
        await soon(lambda: len(path.read_text()) > before)
