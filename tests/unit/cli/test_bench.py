"""`mainspring bench` measures where the store lies and leaves nothing there."""

import json
import os
from pathlib import Path

import pytest

pytest.importorskip("typer")

from mainspring.cli import _bench, run_command_line
from mainspring.cli._bench import folder_of
from mainspring.errors import InvalidArgumentError

pytestmark = pytest.mark.extras


@pytest.mark.parametrize("durability", ["disk", "process"])
def test_the_numbers_are_measured_beside_the_store(
    durability: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = tmp_path / "state.db"
    store.write_bytes(b"not opened")
    command = ["bench", "--store", f"sqlite:///{store}", "--seconds", "0.05", "--durability", durability, "--json"]
    assert 0 == run_command_line(command)
    rows = json.loads(capsys.readouterr().out)
    found = {row["measure"]: row["value"] for row in rows}
    assert {
        "runs, 200 in flight",
        "probe: rows in shared transactions",
        "CPU of a run",
        "enqueue to start, median",
        "enqueue to start, p99",
        "probe: one commit",
        "1000 concurrent run_job",
        "app to first handler",
    } == found.keys()
    assert all(value > 0 for value in found.values())
    assert found["enqueue to start, median"] <= found["enqueue to start, p99"]
    share = next(row["of_the_probe"] for row in rows if row["of_the_probe"] is not None)
    expected = found["runs, 200 in flight"] / found["probe: rows in shared transactions"]
    assert share == pytest.approx(expected, rel=0.002, abs=0.001)  # all three are rounded
    assert [store] == list(tmp_path.iterdir())
    assert b"not opened" == store.read_bytes()


async def test_each_measure_is_made_once_however_short_its_time_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_bench, "_CALLS", 10)
    rows = await _bench.measure(tmp_path, _bench.Durability.PROCESS, seconds=0.0)
    assert all(row["value"] > 0 for row in rows)


def test_it_measures_in_the_folder_of_the_default_store_or_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MAINSPRING_STATE_DIR", str(tmp_path / "state"))
    assert tmp_path == folder_of(None)
    (tmp_path / "state").mkdir()
    assert tmp_path / "state" == folder_of(None)
    assert tmp_path == folder_of("state.db")
    with pytest.raises(InvalidArgumentError, match="a folder to write to"):
        folder_of("sqlite:///nowhere/state.db")

    def access(path: Path, mode: int) -> bool:
        return False

    monkeypatch.setattr(os, "access", access)
    with pytest.raises(InvalidArgumentError, match=f"--store='{tmp_path}/state'"):
        folder_of(None)
