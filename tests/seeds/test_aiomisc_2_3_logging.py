"""Chapters 2.3 and 2.18 of the aiomisc seed, through compat: formats, repeated configuration, handlers of one's own."""

import asyncio
import gzip
import json
import logging
import os
import socket
from collections.abc import Iterator
from gzip import GzipFile
from logging.handlers import RotatingFileHandler
from pathlib import Path

import pytest

from mainspring.compat import aiomisc, aiomisc_log
from mainspring.compat.aiomisc.log import basic_config
from mainspring.compat.aiomisc.periodic import PeriodicCallback
from mainspring.compat.aiomisc.utils import new_event_loop


@pytest.fixture(autouse=True)
def _nowhere() -> Iterator[None]:
    """Log nowhere afterwards."""
    yield
    basic_config(log_format="disabled", buffered=False)
    for handler in logging.root.handlers:
        handler.close()


def test_2_3_without_a_loop(capsys: pytest.CaptureFixture[str]) -> None:
    from mainspring.compat.aiomisc_log import basic_config

    basic_config(log_format="color")
    logging.info("Hello")

    assert capsys.readouterr().err.endswith(":root: Hello\n")


def test_2_3_configured_twice(capsys: pytest.CaptureFixture[str]) -> None:
    aiomisc_log.basic_config(log_format="color")
    logging.info("Hello from usual python")

    async def main():
        logging.info("Hello from async python")

    with aiomisc.entrypoint(log_format="color") as loop:
        loop.run_until_complete(main())

    lines = capsys.readouterr().err.splitlines()
    assert [line.rpartition(": ")[2] for line in lines] == ["Hello from usual python", "Hello from async python"]


class GzipLogFile(GzipFile):
    def write(self, data) -> int:
        if isinstance(data, str):
            data = data.encode()
        return super().write(data)


class RotatingGzipFileHandler(RotatingFileHandler):
    """Really added just for example you have to test it properly"""

    def shouldRollover(self, record):  # noqa: N802
        if not os.path.isfile(self.baseFilename):
            return False
        if self.stream is None:
            self.stream = self._open()
        return 0 < self.maxBytes < os.stat(self.baseFilename).st_size

    def _open(self):
        return GzipLogFile(filename=self.baseFilename, mode=self.mode)


def test_2_3_handlers_of_ones_own_in_threads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(logging.getLogger(), "handlers", [])

    async def main():
        for _ in range(1_000):
            logging.info("Hello world")

    with aiomisc.entrypoint(log_config=False) as loop:
        gzip_handler = RotatingGzipFileHandler("app.log.gz", maxBytes=10 * 2**20, backupCount=100)
        stream_handler = logging.StreamHandler()

        formatter = logging.Formatter(
            "[%(asctime)s] <%(levelname)s> %(filename)s:%(lineno)d (%(threadName)s): %(message)s"
        )

        gzip_handler.setFormatter(formatter)
        stream_handler.setFormatter(formatter)

        logging.basicConfig(
            level=logging.INFO,
            handlers=map(
                aiomisc.log.wrap_logging_handler,  # type: ignore[arg-type]  # the tuple has no common type
                (gzip_handler, stream_handler),
            ),
        )
        loop.run_until_complete(main())

    for handler in list(logging.getLogger().handlers):
        handler.close()
    with gzip.open("app.log.gz", "rt") as file:
        lines = file.read().splitlines()
    assert len(lines) == len(capsys.readouterr().err.splitlines()) == 1_000
    assert all(line.endswith("(MainThread): Hello world") for line in lines)


def test_2_18_1_color(capsys: pytest.CaptureFixture[str]) -> None:
    basic_config(level=logging.INFO, buffered=False, log_format="color")
    logging.info("colored")
    assert "[T:MainThread]" in capsys.readouterr().err


def test_2_18_2_json(capsys: pytest.CaptureFixture[str]) -> None:
    basic_config(level=logging.INFO, buffered=False, log_format="json")
    logging.info("%d object", 1)
    output, errors = capsys.readouterr()
    assert json.loads(errors)["msg"] == "1 object"
    assert output == ""


@pytest.mark.extras
def test_2_18_3_journald(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("logging_journald")
    address = str(tmp_path / "socket")
    monkeypatch.setattr("mainspring.runtime._log_system.JOURNAL_SOCKET", address)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as journal:
        journal.bind(address)

        basic_config(level=logging.INFO, buffered=False, log_format="journald")
        logging.info("JournalD log record")

        assert b"JournalD log record" in journal.recv(10_000)


@pytest.mark.extras
def test_2_18_4_rich(capsys: pytest.CaptureFixture[str]) -> None:
    basic_config(level=logging.INFO, buffered=False, log_format="rich")
    logging.info("Rich logger")

    basic_config(level=logging.INFO, buffered=False, log_format="rich_tb")

    try:
        1 / 0  # noqa: B018
    except ZeroDivisionError:
        logging.exception("Rich traceback logger")

    errors = capsys.readouterr().err
    assert "Rich logger" in errors
    assert "Rich traceback logger" in errors
    assert "ZeroDivisionError" in errors


def test_2_18_5_disabled(capsys: pytest.CaptureFixture[str]) -> None:
    basic_config(level=logging.INFO, log_format="disabled", handlers=[logging.StreamHandler()], buffered=False)
    logging.info("Use default python logger for example")
    assert capsys.readouterr().err == "Use default python logger for example\n"


def test_2_18_6_buffered_after_plain(capsys: pytest.CaptureFixture[str]) -> None:
    basic_config(level=logging.INFO, buffered=False, log_format="json")

    async def write_log(loop):
        logging.info("Hello %f", loop.time())

    loop = new_event_loop()
    basic_config(level=logging.INFO, buffered=True, log_format="color", flush_interval=0.5)

    periodic = PeriodicCallback(write_log, loop)
    periodic.start(0.01)

    loop.run_until_complete(asyncio.sleep(0.05))

    async def stop():
        with pytest.raises(asyncio.CancelledError):
            await periodic.stop()

    loop.run_until_complete(stop())
    loop.run_until_complete(loop.shutdown_default_executor())
    loop.close()
    asyncio.set_event_loop(None)
    basic_config(log_format="disabled", buffered=False)
    assert "root: Hello " in capsys.readouterr().err
