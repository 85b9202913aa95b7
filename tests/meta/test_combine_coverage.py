"""The script that joins coverage data removes the files of killed children, and no others."""

import sqlite3
from contextlib import closing
from pathlib import Path

import coverage
from scripts.combine_coverage import remove_unfinished


def test_only_files_that_were_never_finished_are_removed(tmp_path: Path) -> None:
    whole = coverage.CoverageData(basename=str(tmp_path / "coverage.host.1.whole"))
    whole.add_lines({__file__: [1, 2]})
    whole.write()
    (tmp_path / "coverage.host.2.empty").write_bytes(b"")
    (tmp_path / "coverage.host.3.torn").write_bytes((tmp_path / "coverage.host.1.whole").read_bytes()[:5000])
    with closing(sqlite3.connect(tmp_path / "coverage.host.4.begun")) as connection:
        connection.execute("CREATE TABLE coverage_schema(version INTEGER)")
    assert 3 == remove_unfinished(tmp_path)
    assert ["coverage.host.1.whole"] == [path.name for path in tmp_path.iterdir()]
    assert 0 == remove_unfinished(tmp_path)
