"""`mainspring flow` draws a dataflow, or runs it and says what it did."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("typer")

from mainspring.cli import run_command_line

pytestmark = pytest.mark.extras

CODE = """
from mainspring.dataflow import Dataflow, Runner

def numbers(p):
    yield from range(10)

def take(p, number): ...

flow = Dataflow("small", [Runner(numbers), Runner(take, 2)], mode="inline")
"""


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(sys, "path", list(sys.path))
    path = tmp_path / "a_small_flow.py"
    path.write_text(CODE)
    sys.modules.pop("a_small_flow", None)
    return str(path)


def test_it_is_drawn_in_words_and_for_mermaid(file: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert 0 == run_command_line(["flow", file, "--draw", "text"])
    assert capsys.readouterr().out.startswith("small\n  0 numbers: 1 worker, source\n")
    assert 0 == run_command_line(["flow", f"{file}:flow", "--draw", "mermaid"])
    assert capsys.readouterr().out.startswith("flowchart LR\n")
    assert 0 == run_command_line(["flow", file, "--draw", "json"])
    said = json.loads(capsys.readouterr().out)
    assert ["small", "numbers", "take", None] == [
        said["name"], *(stage["label"] for stage in said["stages"]), said["edges"][0]["stats"],
    ]  # fmt: skip


def test_it_runs_to_its_end(file: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert 0 == run_command_line(["flow", file, "--json"])
    said = json.loads(capsys.readouterr().out)
    assert [0, 10] == [stage["handled_count"] for stage in said["stages"]]


def test_what_it_did_is_shown_as_a_table(file: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert 0 == run_command_line(["flow", file])
    assert "small: 1 take" in capsys.readouterr().out


def test_only_a_part_of_it_runs_when_that_is_asked_for(file: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert 0 == run_command_line(["flow", file, "--only", "numbers", "--only", "1", "--json"])
    assert [0, 10] == [stage["handled_count"] for stage in json.loads(capsys.readouterr().out)["stages"]]
    assert 2 == run_command_line(["flow", file, "--only", "numbers"])
    assert "hint: Edge(via=JetStream(...)) lets an edge cross machines" in capsys.readouterr().err


def test_a_module_must_have_one_dataflow(file: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert 2 == run_command_line(["flow", f"{file}:numbers"])
    assert "'numbers' to be a Dataflow" in capsys.readouterr().err
    Path(file).write_text(CODE + "other = Dataflow('other', [Runner(numbers)])\n")
    sys.modules.pop("a_small_flow", None)
    assert 2 == run_command_line(["flow", file])
    assert "one of flow, other" in capsys.readouterr().err
    Path(file).write_text("flow = 3\n")
    sys.modules.pop("a_small_flow", None)
    assert 2 == run_command_line(["flow", file])
    assert "top level" in capsys.readouterr().err


def test_a_file_that_workers_cannot_import_is_refused(file: str, capsys: pytest.CaptureFixture[str]) -> None:
    dotted = Path(file).rename(Path(file).with_name("a.flow.py"))
    assert 2 == run_command_line(["flow", str(dotted)])
    assert "hint: rename it, as to a_flow.py" in capsys.readouterr().err


STUCK = """
import asyncio
from mainspring.dataflow import Dataflow, Runner

def one(p):
    yield 1

async def hold(p, number):
    print("begun", flush=True)
    await asyncio.Event().wait()

flow = Dataflow("stuck", [Runner(one), Runner(hold)])
"""


def test_the_first_ctrl_c_says_what_it_waits_for_and_the_second_one_ends_it(tmp_path: Path) -> None:
    path = tmp_path / "a_stuck_flow.py"
    path.write_text(STUCK)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-m", "mainspring", "flow", str(path)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, text=True, env=environment, stdout=pipe, stderr=pipe) as child:
        assert child.stdout is not None
        assert child.stderr is not None
        try:
            assert "begun\n" == child.stdout.readline()
            child.send_signal(signal.SIGINT)
            said = (
                "got SIGINT: what is on its way may be done, for 30 s at most; a second Ctrl-C or SIGTERM ends it now"
            )
            assert said in child.stderr.readline()
            child.send_signal(signal.SIGINT)
            child.communicate(timeout=30)  # until no worker holds a pipe any more
            assert 130 == child.returncode
        finally:
            child.kill()
