"""Works on several shards at once."""

import threading
from pathlib import Path

import pytest

from mainspring.storage._shard_file import ShardFile
from mainspring.storage._shard_layout import ShardLayout
from mainspring.storage._shard_together import run_beside


def files(tmp_path: Path, shards: int) -> list[ShardFile]:
    layout = ShardLayout(tmp_path, shards, 2, 0)
    return [ShardFile(layout, number, durability="process", busy_timeout=1.0) for number in range(shards)]


def test_answers_come_in_the_order_of_the_files(tmp_path: Path) -> None:
    opened = files(tmp_path, 12)
    paths = run_beside(opened, lambda file: file.path)
    assert [file.path for file in opened] == paths
    assert [opened[0].path] == run_beside(opened[:1], lambda file: file.path)
    for file in opened:
        file.close()


def test_works_run_side_by_side(tmp_path: Path) -> None:
    opened = files(tmp_path, 4)
    together = threading.Barrier(4)  # each waits until all have begun
    assert {0, 1, 2, 3} == set(run_beside(opened, lambda _: together.wait(timeout=20)))
    for file in opened:
        file.close()


def test_the_first_failure_is_the_callers(tmp_path: Path) -> None:
    opened = files(tmp_path, 3)

    def fail(file: ShardFile) -> None:
        raise ValueError(file.path.parent.name)

    with pytest.raises(ValueError, match=r"^\d$"):
        run_beside(opened, fail)
    for file in opened:
        file.close()
