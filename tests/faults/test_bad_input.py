"""What users get wrong and what goes wrong around them: a sentence with what, where and what to do, nothing lost.

All through the public door and the command line, on a store that holds a run which must survive.
"""

import asyncio
import json
import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final  # Any: JSON, and what a run gave back

import pytest

pytest.importorskip("typer")

from tests.unit.storage.support_users import as_nobody, unprivileged

from mainspring.cli import run_command_line
from mainspring.errors import InvalidArgumentError, StoreFullError
from mainspring.jobs import JobApp, RunState
from mainspring.testing import eventually, limit_file_size

pytestmark = pytest.mark.extras

APP: Final = """from pathlib import Path
from mainspring import JobApp
app = JobApp("shop", store=Path(__file__).with_name("jobs.db"), poll_interval=0.05)

@app.job("greet")
async def greet():
    return "hello"

@app.job("hourly", cron="0 * * * *")
async def hourly():
    pass
"""


class Shop:
    """An app in a file whose store holds one run; runs commands on it."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.store = folder / "jobs.db"
        self._file = folder / "shop.py"
        self._capsys = capsys
        self._file.write_text(APP)
        assert 0 == self.command("trigger", "APP", "greet", "--wait")[0]
        self._before = self.runs()

    def command(self, *argv: str) -> tuple[int, str]:
        """Return a command's exit code and what it wrote to standard error; APP stands for the app's file."""
        code, _, error = self._run(*argv)
        assert "Traceback" not in error
        return code, error.replace(str(self._file), "shop.py").replace(str(self.store), "jobs.db")

    def runs(self) -> list[dict[str, Any]]:
        code, out, error = self._run("runs", "APP", "--json")
        assert (0, "") == (code, error)
        listed: list[dict[str, Any]] = json.loads(out)
        return listed

    def define(self, more: str) -> None:
        self._file.write_text(APP + more)

    def lost_nothing(self) -> bool:
        self._file.write_text(APP)
        return self._before == self.runs()

    def _run(self, *argv: str) -> tuple[int, str, str]:
        # a fresh module name for each load: as in a fresh interpreter
        sys.modules.pop("shop", None)
        code = run_command_line([str(self._file) if one == "APP" else one for one in argv])
        captured = self._capsys.readouterr()
        return code, captured.out, captured.err


@pytest.fixture
def shop(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Shop:
    monkeypatch.setattr(sys, "path", list(sys.path))
    return Shop(tmp_path, capsys)


# --- wrong definitions: file, line, job and option ---


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (
            '"job", cron="61 * * * *"',
            "shop.py:13: job 'job': cron='61 * * * *' is not accepted:"
            " expected 0 to 59 in field 1 (minute), found '61' at position 1\n",
        ),
        (
            '"job", cron="0 * * * *", timezone="America/New_Yrok"',
            "shop.py:13: job 'job': timezone='America/New_Yrok' is not accepted: expected a zone of the tz database\n"
            "hint: did you mean 'America/New_York'?\n",
        ),
        (
            '"job", every="5 parsecs"',
            "shop.py:13: job 'job': every='5 parsecs' is not accepted: expected seconds from 0.001 to 100 years\n",
        ),
        (
            '"job", timeout=-5',
            "shop.py:13: job 'job': timeout=-5 is not accepted: expected finite seconds > 0, or None\n",
        ),
        (
            '"greet"',
            "shop.py:13: job 'greet': the id is taken by the job at shop.py:5\nhint: give one of them a job_id\n",
        ),
    ],
    ids=["cron", "zone", "duration", "timeout", "duplicate id"],
)
def test_a_wrong_definition_names_file_line_and_option(shop: Shop, options: str, said: str) -> None:
    shop.define(f"\n@app.job({options})\nasync def more(): pass\n")
    assert (2, f"error: {said}") == shop.command("jobs", "APP")
    assert shop.lost_nothing()


# --- wrong requests ---


def test_a_wrong_duration_on_the_command_line(shop: Shop) -> None:
    said = 'error: --for=\'5 parsecs\' is not accepted: expected a duration such as "90", "1.5s", "10m", "2h" or "1d"\n'
    assert (2, said) == shop.command("run", "APP", "--for", "5 parsecs")
    assert shop.lost_nothing()


def test_an_unknown_job_is_answered_with_the_known_ones(shop: Shop) -> None:
    said = "error: there is no job 'gret'\nhint: did you mean 'greet'? known jobs: greet, hourly\n"
    assert (2, said) == shop.command("trigger", "APP", "gret")
    assert (2, said) == shop.command("backfill", "APP", "gret", "--from", "2013-01-01", "--to", "2013-01-02")
    assert shop.lost_nothing()


def test_an_interval_that_starts_after_its_end(shop: Shop) -> None:
    said = "error: --from='2013-02-01' is not accepted: expected an instant before --to='2013-01-01'\n"
    assert (2, said) == shop.command("backfill", "APP", "hourly", "--from", "2013-02-01", "--to", "2013-01-01")
    assert shop.lost_nothing()


async def test_an_interval_that_starts_after_its_end_stores_no_backfill(tmp_path: Path) -> None:
    app = JobApp(store=tmp_path / "jobs.db")

    @app.job("hourly", cron="0 * * * *")
    async def hourly() -> None: ...

    with pytest.raises(InvalidArgumentError, match="expected an instant before end="):
        await app.backfill(hourly, datetime(2013, 2, 1, tzinfo=UTC), datetime(2013, 1, 1, tzinfo=UTC))
    await app.open()
    assert [] == list(await app.store.backfills())
    await app.close()


# --- a store that cannot be used: refused, and left as it is ---


def test_a_store_from_a_newer_version(shop: Shop) -> None:
    with closing(sqlite3.connect(shop.store)) as connection:
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        connection.execute("PRAGMA user_version = 999")
    before = shop.store.read_bytes()
    code, said = shop.command("jobs", "APP")
    assert 3 == code
    assert f"error: the store jobs.db has schema version 999, this program knows versions up to {version}" in said
    assert "hint: upgrade mainspring, or open another store" in said
    assert before == shop.store.read_bytes()
    with closing(sqlite3.connect(shop.store)) as connection:
        connection.execute(f"PRAGMA user_version = {version}")
    assert shop.lost_nothing()


def test_a_corrupted_store(shop: Shop) -> None:
    whole = shop.store.read_bytes()
    broken = b"\xff" * 100 + whole[100:]
    shop.store.write_bytes(broken)
    code, said = shop.command("trigger", "APP", "greet")
    assert 3 == code
    assert said.startswith("error: the store jobs.db is damaged or is no SQLite database")
    assert "hint: move the file away and restore a backup" in said
    assert broken == shop.store.read_bytes()
    shop.store.write_bytes(whole)
    assert shop.lost_nothing()


def test_a_read_only_store(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", list(sys.path))
    with unprivileged() as folder:
        shop = Shop(folder, capsys)
        shop.store.chmod(0o444)
        folder.chmod(0o555)
        try:
            with as_nobody():
                said = shop.command("trigger", "APP", "greet")
        finally:
            folder.chmod(0o755)
            shop.store.chmod(0o644)
        sentence = "error: the store jobs.db is read-only\nhint: give this user write access"
        assert (3, f"{sentence} to the file and to its directory\n") == said
        assert shop.lost_nothing()


def test_a_disk_without_room_for_a_command(shop: Shop) -> None:
    with limit_file_size(1024):
        code, said = shop.command("trigger", "APP", "greet")
    assert 3 == code
    assert said.startswith("error: cannot open the store jobs.db: the disk answered with an error")
    assert "hint: look at the room that is left on its disk" in said
    assert shop.lost_nothing()


async def test_a_full_disk_refuses_what_does_not_fit_and_goes_on_when_there_is_room(tmp_path: Path) -> None:
    app = JobApp(store=tmp_path / "jobs.db", poll_interval=0.05)

    @app.job("greet")
    async def greet() -> str:
        return "hello"

    await app.open()
    try:
        first = await app.run_job(greet)
        await _limit_pages(app, spare=0)
        with pytest.raises(StoreFullError, match=r"no room is left .*") as refused:
            await app.run_job(greet, {"text": "x" * 200_000})
        assert refused.value.hint is not None
        await _limit_pages(app, spare=1_000_000)
        assert "hello" == (await app.run_job(greet, {"text": "x" * 200_000})).value
        kept = await app.run(first.run_id)
        assert kept is not None
        assert (RunState.SUCCEEDED, 2) == (kept.state, len(await app.runs()))
    finally:
        await app.close()


async def _limit_pages(app: JobApp, *, spare: int) -> None:
    """Let the store grow by so many pages only: SQLite then answers as it does on a full disk."""

    def limit(connection: sqlite3.Connection) -> None:
        (used,) = connection.execute("PRAGMA page_count").fetchone()
        connection.execute(f"PRAGMA max_page_count={used + spare}")

    owner: Any = getattr(app.store, "owner")  # noqa: B009  # of the SQLite store, which the protocol does not name
    await owner.write(limit)


# --- a second process ---


def test_a_second_process_on_the_same_file_works(shop: Shop, tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-m", "mainspring", "run", str(tmp_path / "shop.py")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as first:
        try:
            assert first.stdout is not None
            assert "Ctrl-C ends it" in first.stdout.readline()
            assert (0, "") == shop.command("trigger", "APP", "greet", "--wait")
            assert (0, "") == shop.command("trigger", "APP", "greet")

            async def all_succeeded() -> bool:
                app = JobApp("shop", store=shop.store, schedule=False)
                try:
                    runs = [run for run in await app.runs() if run.job_id == "greet"]
                finally:
                    await app.close()
                return [RunState.SUCCEEDED] * 3 == [run.state for run in runs]

            asyncio.run(eventually(all_succeeded, within=30.0))
        finally:
            first.send_signal(signal.SIGTERM)
        assert 0 == first.wait(timeout=30)


# --- handlers ---


async def test_a_handler_that_raises_fails_its_run_only(tmp_path: Path) -> None:
    app = JobApp(store=tmp_path / "jobs.db", poll_interval=0.05)

    @app.job("boom")
    async def boom() -> None:
        raise ValueError("no luck")

    @app.job("greet")
    async def greet() -> str:
        return "hello"

    failed, greeted = await asyncio.gather(app.run_job(boom), app.run_job(greet))
    assert (RunState.FAILED, "ValueError: no luck") == (failed.state, failed.error)
    assert "hello" == greeted.value
    record = await app.run(failed.run_id)
    assert record is not None
    assert "test_bad_input.py" in (record.error_detail or "")
    await app.close()


async def test_a_handler_that_hangs_ends_at_its_timeout(tmp_path: Path) -> None:
    app = JobApp(store=tmp_path / "jobs.db", poll_interval=0.05)

    @app.job("hang", timeout=0.05)
    async def hang() -> None:
        await asyncio.Event().wait()

    ended = await app.run_job(hang)
    assert RunState.FAILED is ended.state
    assert "JobTimeoutError: a run of 'hang' did not end within 0.05 s\nhint: raise timeout=" in (ended.error or "")
    await app.close()


async def test_a_handler_that_swallows_cancellation_keeps_its_run_and_nothing_else(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It holds its slot until it is gone; the app ends without it, and its run is there for the next start."""
    app = JobApp(store=tmp_path / "jobs.db", poll_interval=0.05, drain_timeout=0.05, cancel_grace=0.05)
    released, swallowed = asyncio.Event(), asyncio.Event()

    @app.job("stubborn", timeout=0.05)
    async def stubborn() -> None:
        while not released.is_set():
            try:
                await released.wait()
            except asyncio.CancelledError:
                swallowed.set()

    @app.job("greet")
    async def greet() -> str:
        return "hello"

    called = asyncio.create_task(app.run_job(stubborn))
    await swallowed.wait()
    assert "hello" == (await app.run_job(greet)).value
    (held,) = await app.runs(stubborn)
    assert RunState.RUNNING is held.state
    await app.close()
    assert f"run {held.run_id} of stubborn does not stop; left behind" in caplog.text
    released.set()
    await asyncio.gather(called, return_exceptions=True)

    async def succeeded() -> bool:  # the next start runs it again
        kept = await app.run(held.run_id)
        return kept is not None and kept.state is RunState.SUCCEEDED

    await eventually(succeeded)
    await app.close()
