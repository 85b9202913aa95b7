"""Reports show the lines that hold most memory, and the file holds all of it in a form that viewers open."""

import os
import tracemalloc
from pathlib import Path

import pytest
from tests.unit.services.support_programs import program

from mainspring.errors import InvalidArgumentError
from mainspring.runtime import LogBlock
from mainspring.services import GroupBy, MemoryTracer
from mainspring.testing import eventually


@pytest.mark.parametrize("group_by", list(GroupBy))
async def test_what_grows_is_shown(group_by: GroupBy) -> None:
    reports: list[str] = []
    tracer = MemoryTracer(interval=0.01, top_results=3, logger=reports.append, group_by=group_by)
    async with program(tracer):
        assert tracemalloc.is_tracing()
        leak = [bytes(1000) for _ in range(1000)]
        await eventually(lambda: any("test_memory_tracer.py" in one for one in reports[1:]), within=20)
    assert not tracemalloc.is_tracing()
    assert isinstance(reports[-1], LogBlock)
    heading, titles, *lines = reports[-1].splitlines()
    assert "Top memory usage:" == heading
    assert " Objects | Obj.Diff |   Memory | Mem.Diff | Traceback" == titles
    assert 3 == len(lines)
    assert any("MiB" in one or "KiB" in one for one in lines)
    assert 1000 == len(leak)


async def test_the_file_holds_folded_stacks(tmp_path: Path) -> None:
    path = tmp_path / "memory.folded"
    async with program(MemoryTracer(interval=0.01, path=path, frames=5, logger=str)):
        leak = bytearray(1_000_000)
        # The first file may be written before there was anything to show.
        await eventually(lambda: path.exists() and len(leak) <= most_of_this_file(path), within=30)
    assert len(leak) <= most_of_this_file(path)
    assert ["memory.folded"] == os.listdir(tmp_path)


def most_of_this_file(path: Path) -> int:
    """Return the bytes of the largest stack of this file."""
    stacks = [line.rpartition(" ") for line in path.read_text().splitlines()]
    return max((int(size) for stack, _, size in stacks if "test_memory_tracer.py" in stack), default=0)


async def test_a_tracing_that_is_not_its_own_goes_on() -> None:
    tracemalloc.start()
    try:
        async with program(MemoryTracer()):
            pass
        assert tracemalloc.is_tracing()
    finally:
        tracemalloc.stop()


async def test_a_start_that_failed_is_stopped() -> None:
    await MemoryTracer().stop()


@pytest.mark.parametrize(
    ("size", "text"), [(0, "0.0B"), (976, "976.0B"), (1945, "1.9KiB"), (-7444889, "-7.1MiB"), (2**50, "1024.0TiB")]
)
def test_sizes_are_for_people(size: int, text: str) -> None:
    assert text == MemoryTracer.humanize(size)


def test_arguments_are_checked() -> None:
    with pytest.raises(InvalidArgumentError, match="top_results"):
        MemoryTracer(top_results=0)
    with pytest.raises(ValueError, match="color"):
        MemoryTracer(group_by="color")
