"""Reports show where the time goes, and the file holds the whole profile."""

import cProfile
import pstats
from pathlib import Path

import pytest
from tests.unit.services.support_programs import program

from mainspring.errors import InvalidArgumentError, MisuseError
from mainspring.runtime import LogBlock
from mainspring.services import Profiler
from mainspring.testing import eventually


def work() -> int:
    return 1


async def test_reports_come_again_and_again_and_at_the_end(tmp_path: Path) -> None:
    reports: list[str] = []
    path = tmp_path / "profile"
    async with program(Profiler(interval=0.01, top_results=50, path=path, order="ncalls", logger=reports.append)):
        for _ in range(20_000):
            work()
        await eventually(lambda: any("(work)" in one for one in reports), within=20)
        before = len(reports)
    assert before < len(reports)
    assert isinstance(reports[-1], LogBlock)
    assert "Ordered by: call count" in reports[-1]
    functions = {name for _, _, name in pstats.Stats(str(path)).stats}  # type: ignore[attr-defined]  # not in the stubs
    assert "work" in functions


async def test_a_start_that_failed_is_stopped() -> None:
    await Profiler().stop()


class Refused(cProfile.Profile):
    """What Python 3.12 and newer do when another profiler is active."""

    def enable(self, subcalls: bool = True, builtins: bool = True) -> None:
        raise ValueError("Another profiling tool is already active")


async def test_another_profiler_is_in_the_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cProfile, "Profile", Refused)
    with pytest.raises(MisuseError, match="the Profiler cannot start: Another profiling tool"):
        async with program(Profiler()):
            raise NotImplementedError


def test_arguments_are_checked() -> None:
    with pytest.raises(InvalidArgumentError, match="order='beauty'"):
        Profiler(order="beauty")
    with pytest.raises(InvalidArgumentError, match="top_results"):
        Profiler(top_results=0)
