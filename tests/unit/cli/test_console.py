"""`mainspring console`: commands typed by a person or piped from a script, on a program that runs."""

import asyncio
import io
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any  # Any: JSON

import pytest

pytest.importorskip("typer")

from mainspring.cli import operator_console, run_command_line
from mainspring.cli._console import known_commands, write_answer
from mainspring.errors import InvalidArgumentError
from mainspring.jobs import JobApp
from mainspring.runtime import entrypoint
from mainspring.services import ConsoleAnswer, ConsoleGreeting
from mainspring.tools import Dispatch

pytestmark = pytest.mark.extras


class Terminal(io.StringIO):
    """Standard input of a person."""

    def isatty(self) -> bool:
        return True


Typed = Callable[[str], None]


@pytest.fixture
def piped(monkeypatch: pytest.MonkeyPatch) -> Typed:
    return lambda text: monkeypatch.setattr(sys, "stdin", io.StringIO(text))


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch) -> Typed:
    return lambda text: monkeypatch.setattr(sys, "stdin", Terminal(text))


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MAINSPRING_STATE_DIR", str(tmp_path / "state"))
    return tmp_path / "state"


async def operate(*options: str) -> int:
    """Run the client beside an app that has a console, both in this process."""
    app = JobApp("shop", store="memory")
    commands = Dispatch()

    @commands.command()
    def refuse() -> None:
        """Refuse."""
        raise InvalidArgumentError(argument="a", value=1, expected="two", hint="say two")

    @app.job("greet")
    async def greet() -> None: ...

    async with entrypoint(app, operator_console(app, commands=commands), log_config=False, catch_signals=()):
        return await asyncio.to_thread(run_command_line, ["console", *options])


async def test_a_script_pipes_commands(state: Path, piped: Typed, capsys: pytest.CaptureFixture[str]) -> None:
    piped("# what is there\n\njobs\n  trig greet\npause greet\n")
    assert 0 == await operate()
    out, err = capsys.readouterr()
    header, row, *rest = out.splitlines()
    assert ["job", "schedule"] == header.split()[:2]
    assert ["greet", "0", "0"] == row.split()
    assert ["run", "job", "state"] == [line.split()[0] for line in rest[:3]]
    assert ["greet is paused"] == rest[3:]
    assert "" == err


async def test_a_script_learns_that_something_went_wrong(
    state: Path, piped: Typed, capsys: pytest.CaptureFixture[str]
) -> None:
    piped("refuse\nnothing\npause greet\nquit\njobs\n")
    assert 1 == await operate("--state", str(state))
    out, err = capsys.readouterr()
    assert "greet is paused\n" == out
    assert "hint: say two\n" in err
    assert "All commands:" in err


async def test_a_line_that_is_no_text_leaves_the_others(
    state: Path, piped: Typed, capsys: pytest.CaptureFixture[str]
) -> None:
    piped("pause \udcff\npause greet\n")  # as standard input hands on bytes that are no UTF-8
    assert 1 == await operate()
    assert ("greet is paused\n", "this line is no UTF-8 text\n") == capsys.readouterr()


async def test_programs_read_a_line_of_json_for_each(
    state: Path, piped: Typed, capsys: pytest.CaptureFixture[str]
) -> None:
    piped("jobs\npause greet\n")
    assert 0 == await operate("--socket", str(state / "console.sock"), "--json")
    jobs, paused = map(json.loads, capsys.readouterr().out.splitlines())
    assert ["greet"] == [one["job"] for one in jobs["value"]]
    assert {"status": "done", "text": "greet is paused"} == paused


async def test_a_person_is_asked_with_the_name_of_the_program(
    state: Path, typed: Typed, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "prompt_toolkit", None)
    typed("nothing\npause greet\n")
    assert 0 == await operate()
    out = capsys.readouterr().out
    assert out.startswith(f"shop (process {os.getpid()}): ? for help, quit to leave\n")
    assert 3 == out.count("shop> ")
    assert "greet is paused" in out


async def test_ctrl_c_throws_a_persons_line_away_and_ends_a_script(
    state: Path, typed: Typed, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines: Iterator[str | BaseException] = iter([KeyboardInterrupt(), "quit", KeyboardInterrupt()])

    def ask(prompt: str = "") -> str:
        line = next(lines)
        if isinstance(line, BaseException):
            raise line
        return line

    monkeypatch.setitem(sys.modules, "prompt_toolkit", None)
    monkeypatch.setattr("builtins.input", ask)
    typed("")
    assert 0 == await operate()
    monkeypatch.setattr("mainspring.cli._console._piped", ask)
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    assert 130 == await operate()


async def test_commands_are_completed_for_a_person(
    state: Path, typed: Typed, capsys: pytest.CaptureFixture[str]
) -> None:
    from prompt_toolkit.application import create_app_session
    from prompt_toolkit.input import create_pipe_input
    from prompt_toolkit.output import DummyOutput

    typed("")
    with create_pipe_input() as keys, create_app_session(input=keys, output=DummyOutput()):
        keys.send_text("pau\t greet\rquit\r")
        assert 0 == await operate()
    assert "greet is paused" in capsys.readouterr().out


def test_completion_knows_the_programs_commands_and_how_to_leave() -> None:
    known = known_commands(ConsoleGreeting("shop", 1, {"jobs": "List the jobs.", "queues": ""}))
    assert ("queues", "quit") == known.complete("qu")
    assert "List the jobs." in known.help("jobs")


@contextmanager
def talker(path: Path, *lines: bytes) -> Generator[None]:
    """Serve one console with lines that are ready, and hang up after its first question."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                for line in lines:
                    connection.sendall(line)
                if lines:
                    connection.recv(1000)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield
        finally:
            thread.join(30)


GREETING = b'{"program": "shop", "pid": 1, "commands": {}}\n'


@pytest.mark.parametrize("lines", [(), (GREETING,)])
def test_a_program_that_goes_away_is_named(
    lines: tuple[bytes, ...], tmp_path: Path, piped: Typed, capsys: pytest.CaptureFixture[str]
) -> None:
    piped("jobs\njobs\n")
    with talker(tmp_path / "console.sock", *lines):
        assert 1 == run_command_line(["console", "--state", str(tmp_path)])
    assert "no program answers at" in capsys.readouterr().err


def test_a_program_that_is_not_there_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert 1 == run_command_line(["console", "--state", str(tmp_path)])
    err = capsys.readouterr().err
    assert "error: no program answers at" in err
    assert "hint: is `mainspring run`" in err


def test_what_a_program_says_cannot_move_the_cursor(capsys: pytest.CaptureFixture[str]) -> None:
    write_answer(ConsoleAnswer(status="done", text="a\x1b[2Jb"), as_json=False)
    assert "\x1b" not in capsys.readouterr().out


def test_one_object_is_written_as_facts(capsys: pytest.CaptureFixture[str]) -> None:
    write_answer(ConsoleAnswer(status="done", value={"level": "info", "logger": "root"}), as_json=False)
    assert ["level   info", "logger  root"] == capsys.readouterr().out.splitlines()


APP = """
from pathlib import Path
from mainspring.jobs import JobApp

app = JobApp("shop", store=Path(__file__).with_name("state.db"), durability="process", poll_interval=0.05)

@app.job("greet")
async def greet(name="nobody"):
    return name
"""


def test_mainspring_run_is_operated_from_another_process(tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_text(APP)
    state = str(tmp_path / "state")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "MAINSPRING_STATE_DIR": state}
    command = [sys.executable, "-m", "mainspring"]

    def talk(text: str) -> list[Any]:
        client = [*command, "console", "--state", state, "--json"]
        done = subprocess.run(
            client, input=text, capture_output=True, text=True, env=environment, timeout=60, check=False
        )
        assert 0 == done.returncode, done.stderr
        return [json.loads(line) for line in done.stdout.splitlines()]

    running = [*command, "run", str(tmp_path / "shop.py"), "--no-web", "--json"]
    with subprocess.Popen(running, stdout=subprocess.PIPE, text=True, env=environment) as child:
        assert child.stdout is not None
        try:
            assert f"{state}/console.sock" == json.loads(child.stdout.readline())["console"]
            (made,) = talk("trigger greet name=Ada\n")
            shown, services = talk(f"show {made['value']['run']}\nservices\n")
            assert "greet" == shown["value"]["job"]
            assert {"JobApp", "ConsoleService"} == {one["name"] for one in services["value"]}
            child.send_signal(signal.SIGTERM)
            assert 0 == child.wait(30)
        finally:
            child.kill()
