"""The demo's figures: kept beside the database, and read back."""

import json
from pathlib import Path

import pytest

pytest.importorskip("aiohttp")

from mainspring.demo._report import Figures, Report, load_figures, save_figures

pytestmark = pytest.mark.extras


def test_figures_survive(tmp_path: Path) -> None:
    figures = Figures(runs_per_second=120.5, retries=3, rejected=2, breaker_opened=1)
    save_figures(tmp_path, figures)
    assert figures == load_figures(tmp_path)


@pytest.mark.parametrize("text", [None, "{", "[]", '{"unknown": 1}', "null"])
def test_unreadable_figures_count_as_none(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / "figures.json").write_text(text)
    assert Figures() == load_figures(tmp_path)


def test_the_report_is_one_line_of_json() -> None:
    report = Report(8760, 336776, 365, 60.0, 9.5, 150.0, 4, 5, 6)
    assert "\n" not in report.to_json()
    names = "intervals flights days seconds engine_seconds runs_per_second retries rejected breaker_opened"
    assert names.split() == list(json.loads(report.to_json()))
