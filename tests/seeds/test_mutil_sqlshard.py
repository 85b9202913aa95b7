"""The chapter "sqlshard" of the mutil seed."""

from pathlib import Path

import pytest

from mainspring.compat.mutil.sqlshard import SQLShard


def test_usage(tmp_path: Path) -> None:
    s = SQLShard(shards=8, path=tmp_path / "bighash", keylen=3, shardidx=0)

    s[(1, 2, 3)] = dict(can="have", complex=("structures", 2, 3, ["and", "more"]))  # noqa: C408  # as the seed has it

    assert {"can": "have", "complex": ["structures", 2, 3, ["and", "more"]]} == s[(1, 2, 3)]
    assert 1 == len(s)
    assert 8 == len(s.doall("SELECT COUNT(*) FROM db"))
    s.close()


def test_ranges(tmp_path: Path) -> None:
    with SQLShard(shards=2, path=tmp_path) as s:
        for timestamp in range(10):
            s[("key", timestamp, "extradata")] = timestamp
        assert [8, 9] == [value for _, value in s.rangeGT(("key", 7))]
        assert [3, 4] == [value for _, value in s.rangeGTLT(("key", 2), 5)]


def test_it_survives_the_program_in_the_current_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with SQLShard() as s:
        s[(b"a", 1, 2)] = [1]
    with SQLShard() as again:
        assert [1] == again[(b"a", 1, 2)]
    assert 16 == len(list((tmp_path / "sqlshard").iterdir()))
