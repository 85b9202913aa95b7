"""A file by interval whose disk fails at the n-th call: the target holds one run's rows, whole."""

import asyncio
import os
from pathlib import Path
from typing import Literal

import pytest
from tests.unit.sinks.support_tables import run_of

from mainspring.sinks import JsonLines, SinkSet
from mainspring.testing import FailNth

CASES = [(os, "fsync"), (os, "pwrite"), (os, "open"), (Path, "replace"), (Path, "open"), (Path, "mkdir")]
OLD, NEW = '{"n":1}\n', '{"n":2}\n'


async def write(folder: Path, fence: int) -> None:
    async with SinkSet() as sinks:
        session = sinks.session(run_of(0, fence=fence), default=JsonLines(folder / "{start:%H}.jsonl"))
        await session.emit({"n": fence})
        try:
            await session.finish()
        except OSError:
            await session.discard()
            raise


@pytest.mark.parametrize(("owner", "call"), CASES, ids=lambda value: getattr(value, "__name__", value))
@pytest.mark.parametrize("moment", ["before", "after"])
async def test_a_failure_at_any_call_leaves_a_whole_file(
    tmp_path: Path, owner: object, call: str, moment: Literal["before", "after"]
) -> None:
    if call == "open":
        moment = "before"  # what was opened and not answered would belong to nobody
    n, failures = 1, 1
    while failures:
        folder = tmp_path / str(n)
        await write(folder, 1)
        fault = FailNth(OSError(5, "input/output error"), n, moment=moment)
        with fault.patch(owner, call):
            answer = (await asyncio.gather(write(folder, 2), return_exceptions=True))[0]
        assert (folder / "05.jsonl").read_text() in ((NEW,) if answer is None else (OLD, NEW))
        await write(folder, 3)
        assert sorted(path.name for path in folder.iterdir()) == [".05.jsonl.fence", "05.jsonl"]
        n, failures = n + 1, fault.failures
    assert n > 2
