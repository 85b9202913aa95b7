"""Answers on disk: whole or absent."""

import os
from pathlib import Path

import pytest

from mainspring.base import current_clock
from mainspring.storage._fetch_file import PART_AGE, Answer, read_answer, remove, scan, write_answer

ANSWER = Answer("http://example.org/", 1700000000.5, 4, etag='"v1"')


def test_an_answer_comes_back(tmp_path: Path) -> None:
    file = tmp_path / "a.fetched"
    assert write_answer(file, ANSWER, b"a\nb\n") == file.stat().st_size
    assert (ANSWER, b"a\nb\n") == read_answer(file)
    assert read_answer(tmp_path / "b.fetched") is None


def test_every_shorter_file_is_absent(tmp_path: Path) -> None:
    file = tmp_path / "a.fetched"
    write_answer(file, ANSWER, b"body")
    whole = file.read_bytes()
    for length in range(len(whole)):
        file.write_bytes(whole[:length])
        assert read_answer(file) is None


@pytest.mark.parametrize("moment", ["1e15", "1e308", "1e400", "-1", '"now"', "null"])
def test_a_file_of_an_impossible_time_is_absent(tmp_path: Path, moment: str) -> None:
    file = tmp_path / "a.fetched"
    file.write_bytes(b'{"url":"x","length":4,"fetched_at":' + moment.encode() + b"}\nbody")
    assert read_answer(file) is None


def test_a_write_that_fails_leaves_what_was_there(tmp_path: Path) -> None:
    file = tmp_path / "a.fetched"
    file.mkdir()
    with pytest.raises(IsADirectoryError):
        write_answer(file, ANSWER, b"body")
    assert [file] == list(tmp_path.iterdir())


def test_a_scan_finds_answers_by_age_and_removes_parts_of_the_dead(tmp_path: Path) -> None:
    now = current_clock().time()
    parts = ("dead.fetched.part", "alive.fetched.part")
    for age, name in enumerate(("new.fetched", "old.fetched", "note.txt", *parts)):
        (tmp_path / name).write_bytes(b"x" * (age + 1))
        os.utime(tmp_path / name, (now - age, now - age))
    os.utime(tmp_path / "dead.fetched.part", (now - PART_AGE - 1, now - PART_AGE - 1))
    assert [("old.fetched", 2), ("new.fetched", 1)] == scan(tmp_path)
    assert {"new.fetched", "old.fetched", "note.txt", "alive.fetched.part"} == {
        path.name for path in tmp_path.iterdir()
    }
    assert [] == scan(tmp_path / "missing")
    remove(tmp_path / "missing" / "file")
