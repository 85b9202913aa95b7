"""Each example runs, twice, and ends in the same data."""

import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image
from tests.meta.support_tree import ROOT, SRC

NEEDS_EXTRAS = {"candles", "echo_numbers", "market_bars", "over_nats"}
EXAMPLES = [
    pytest.param(path, id=path.stem, marks=[pytest.mark.extras] * (path.stem in NEEDS_EXTRAS))
    for path in sorted((ROOT / "examples").glob("*.py"))
]


def run_example(example: Path, folder: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "error", str(example)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(SRC)},
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert 0 == done.returncode, done.stderr
    return done.stdout


@pytest.mark.parametrize("example", EXAMPLES)
def test_each_example_runs(example: Path, tmp_path: Path) -> None:
    assert run_example(example, tmp_path)


def test_the_program_of_the_readme_is_an_example_that_a_test_runs() -> None:
    code = (ROOT / "examples" / "calendar_days.py").read_text().split('"""\n\n', 1)[1]
    assert code in (ROOT / "README.md").read_text()


def test_the_days_of_a_year_are_loaded_once(tmp_path: Path) -> None:
    example = ROOT / "examples" / "calendar_days.py"
    assert "365 of 365 runs succeeded" in run_example(example, tmp_path)
    assert "nothing was left to run" in run_example(example, tmp_path)
    with sqlite3.connect(tmp_path / "calendar.db") as connection:
        days = connection.execute("SELECT count(*), sum(hours), min(hours), max(hours) FROM days").fetchone()
    connection.close()
    assert (365, 8760.0, 23.0, 25.0) == days


def test_thumbnails_are_pictures_of_their_sizes(tmp_path: Path) -> None:
    assert "15 thumbnails of 5 pictures" in run_example(ROOT / "examples" / "thumbnails.py", tmp_path)
    for size in (256, 64, 16):
        thumbnails = sorted((tmp_path / "pictures" / "thumbnails" / str(size)).iterdir())
        assert [f"{number}.jpg" for number in range(5)] == [path.name for path in thumbnails]
        for path in thumbnails:
            with Image.open(path) as image:
                assert ("JPEG", size, size * 3 // 4) == (image.format, *image.size)


@pytest.mark.extras
def test_candles_are_those_of_seven_days_however_often_they_are_made(tmp_path: Path) -> None:
    for _ in range(2):
        lines = run_example(ROOT / "examples" / "candles.py", tmp_path).splitlines()
        assert 7 == len(lines)
        assert "2024-01-07  open 100.00  high 243.90  low 100.00  close 243.90" == lines[-1]


@pytest.mark.extras
def test_replies_to_numbers_come_odd_and_even(tmp_path: Path) -> None:
    said = run_example(ROOT / "examples" / "echo_numbers.py", tmp_path)
    assert "only lists of numbers are accepted" in said
    assert "odd: [3, 5] even: [2, 4, 6]" in said


@pytest.mark.extras
def test_words_cross_from_one_part_to_another(tmp_path: Path) -> None:
    said = run_example(ROOT / "examples" / "over_nats.py", tmp_path)
    assert {"tick 100", "tock 100", "gong 100", "all words were counted"} <= set(said.splitlines())


@pytest.mark.extras
def test_bars_are_made_of_trades_from_pipes(tmp_path: Path) -> None:
    said = run_example(ROOT / "examples" / "market_bars.py", tmp_path)
    assert 2 == said.count("{'symbol': 'ACME'")
    assert "sum of the highest prices: 162" in said
