"""The script that judges the coverage of each file fails when it should."""

import pytest
from scripts import mirror_coverage
from scripts.mirror_coverage import poor, read_report, spans


def _report(percent: float) -> mirror_coverage.Report:
    return {
        "files": {
            "src/a.py": {
                "summary": {"percent_covered": percent},
                "missing_lines": [3],
                "missing_branches": [[2, 3]],
            }
        }
    }


def test_a_poor_file_is_named_with_its_lines_and_branches() -> None:
    assert ["src/a.py: 94.9 % (lines 3; branches 2->3)"] == poor(read_report(_report(94.9)), present={"src/a.py"})


def test_a_good_file_passes() -> None:
    assert [] == poor(read_report(_report(95.0)), present={"src/a.py"})


def test_a_file_that_was_never_measured_is_named() -> None:
    assert ["src/b.py: never measured"] == poor(read_report(_report(100.0)), present={"src/a.py", "src/b.py"})


def test_an_exemption_without_need_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(mirror_coverage.EXEMPT, "src/a.py", "runs in a killed child")
    assert [] == poor(read_report(_report(10.0)), present={"src/a.py"})
    assert ["src/a.py: exempt without need"] == poor(read_report(_report(100.0)), present={"src/a.py"})


def test_neighbouring_lines_are_joined() -> None:
    assert ["3", "5-7", "9"] == spans([3, 5, 6, 7, 9])
    assert [] == spans([])
