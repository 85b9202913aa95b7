"""The life of an embedded engine's process."""

import os
import signal
import urllib.request
from pathlib import Path

import pytest

from mainspring.errors import MissingExtraError, StoreOpenError
from mainspring.storage import EngineProcess
from mainspring.testing import PythonChild, eventually

pytestmark = pytest.mark.extras


def ask(engine: EngineProcess, sql: str) -> str:
    request = urllib.request.Request(f"http://127.0.0.1:{engine.port}/", sql.encode())
    request.add_header("X-ClickHouse-Key", engine.password)
    with urllib.request.urlopen(request, timeout=60) as answer:
        return str(answer.read().decode().strip())


def test_what_was_written_is_there_after_a_kill_and_the_port_stays(tmp_path: Path) -> None:
    engine = EngineProcess(tmp_path / "data")
    assert "stopped" in repr(engine)
    assert engine.pid is None
    engine.send(signal.SIGTERM)
    engine.start()
    try:
        port, pid = engine.port, engine.pid
        engine.start()
        assert pid == engine.pid
        assert f"pid {pid}" in repr(engine)
        ask(engine, "CREATE TABLE t (a Int64) ENGINE = MergeTree ORDER BY a")
        ask(engine, "INSERT INTO t SELECT number FROM numbers(1000)")
        engine.send(signal.SIGKILL)
        engine.stop()
        engine.start()
        assert port == engine.port
        assert "1000" == ask(engine, "SELECT count() FROM t")
        with pytest.raises(StoreOpenError, match="another process"):
            EngineProcess(tmp_path / "data").start()
    finally:
        engine.stop()
    engine.stop()


async def test_it_ends_with_the_program_that_started_it_however_that_ends(tmp_path: Path) -> None:
    code = f"""
from mainspring.storage import EngineProcess
engine = EngineProcess({str(tmp_path / "data")!r})
engine.start()
print("pid", engine.pid)
input()
"""
    async with PythonChild("-c", code) as child:
        pid = int((await child.line("pid")).split()[1])
        await child.kill()
        await eventually(lambda: not _runs(pid), within=30.0)


def test_a_folder_that_cannot_be_one_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"):
        EngineProcess(tmp_path / "file" / "data").start()


def test_a_child_that_says_nothing_is_a_failed_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mainspring.storage._engine_process._CODE", "import sys; sys.stdin.close()")
    engine = EngineProcess(tmp_path / "data")
    with pytest.raises(StoreOpenError, match="did not start"):
        engine.start()
    assert not engine.alive


def test_a_child_that_does_not_end_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = "import os, signal; os.write(1, b'{\"port\": 1}\\n'); signal.pause()"
    monkeypatch.setattr("mainspring.storage._engine_process._CODE", code)
    monkeypatch.setattr("mainspring.storage._engine_process._STOP_SECONDS", 0.1)
    engine = EngineProcess(tmp_path / "data")
    engine.start()
    engine.stop()
    assert not engine.alive


def test_without_the_extra_the_error_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def not_found(name: str) -> None:
        return None

    monkeypatch.setattr("mainspring.storage._engine_process.find_spec", not_found)
    with pytest.raises(MissingExtraError, match=r"mainspring\[chdb\]"):
        EngineProcess(tmp_path / "data").start()


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
