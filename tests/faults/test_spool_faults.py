"""A spool whose disk misbehaves at the n-th call: what was acknowledged is there, what was refused is not."""

import os
from contextlib import suppress
from pathlib import Path
from typing import Literal

import pytest
from tests.unit.sinks.support_targets import Target, spooling

from mainspring.sinks import SinkSet
from mainspring.sinks._segments import SegmentLog
from mainspring.testing import FailNth, eventually, limit_file_size

# A call of `open` that fails after it is done would leave its descriptor to nobody.
CASES = [("pwrite", "before"), ("pwrite", "after"), ("fsync", "before"), ("fsync", "after"), ("open", "before")]


def scenario(folder: Path) -> tuple[set[bytes], set[bytes]]:
    """Write and end some records through small segments; return what was acknowledged and what must be gone."""
    log = SegmentLog(folder, max_bytes=10_000, segment_bytes=200)
    log.open()
    alive, gone = set[bytes](), set[bytes]()
    for number in range(6):
        content = [b"%d-%d" % (number, part) + b"x" * 60 for part in range(2)]
        try:
            ids = log.put(content)
        except OSError:
            gone |= set(content)
            continue
        alive |= set(content)
        with suppress(OSError):
            log.done(ids[:1])
            alive.discard(content[0])
            gone.add(content[0])
    log.close()
    return alive, gone


def kept(folder: Path) -> set[bytes]:
    log = SegmentLog(folder, max_bytes=10_000)
    log.open()
    found = {log.read(number) or b"" for number in log.places}
    log.close()
    return found


@pytest.mark.parametrize(("call", "moment"), CASES)
def test_the_failure_of_any_one_call_loses_nothing(
    tmp_path: Path, call: str, moment: Literal["before", "after"]
) -> None:
    (tmp_path / "counted").mkdir()
    counted = FailNth(OSError(28, "no space left on device"), None)
    with counted.patch(os, call):
        scenario(tmp_path / "counted")
    assert counted.calls > 3
    for n in range(1, counted.calls + 1):
        folder = tmp_path / str(n)
        folder.mkdir()
        fault = FailNth(OSError(28, "no space left on device"), n, moment=moment)
        with fault.patch(os, call):
            alive, gone = scenario(folder)
        assert fault.failures == 1
        assert alive == kept(folder) - gone
        assert not kept(folder) & gone


async def test_a_disk_that_is_full_holds_items_back_until_there_is_room(tmp_path: Path) -> None:
    target = Target(down=True)
    sinks = SinkSet(spool=tmp_path)
    sinks.add(target, types=[dict], name="target", delivery=spooling(max_count=1))
    async with sinks:
        with limit_file_size(100):
            await sinks.emit({"text": "x" * 500})
            await eventually(lambda: target.attempts >= 4)
        target.down = False
        await sinks.flush()
    assert [{"text": "x" * 500}] == target.got
