"""What every sink promises, whatever its kind; and what only those promise that count rows exactly once."""

import asyncio
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.conformance.sinks.support_sinks import ALL, COLLECTING, FENCED, LOCAL, ONCE, REPLACING, Case, kinds
from tests.unit.sinks.support_tables import run_of

from mainspring.base import new_id
from mainspring.errors import ClosedError, SinkWriteError, StaleFenceError
from mainspring.sinks import SinkRun

CaseOf = Callable[[str, Path], Case]


@pytest.mark.parametrize("kind", kinds(ALL))
async def test_a_run_that_ends_well_has_written_each_item(tmp_path: Path, kind: str, case_of: CaseOf) -> None:
    async with case_of(kind, tmp_path) as case:
        session = await case.emit(run_of(0), range(1200))
        assert sum(session.counts.values()) == 1200
        await case.finish(session)
        assert case.rows() == list(range(1200))


@pytest.mark.parametrize("kind", kinds(ALL))
async def test_nothing_of_a_run_that_failed_is_written(tmp_path: Path, kind: str, case_of: CaseOf) -> None:
    async with case_of(kind, tmp_path) as case:
        failed = await case.emit(run_of(0), range(300))
        await case.run(run_of(1), [1000, 1001])
        await failed.discard()
        with pytest.raises(ClosedError):
            await failed.emit({"n": 7}, key="7")
        await case.run(run_of(2), [1002])
        await case.sinks.close()
        good, written = {1000, 1001, 1002}, set(case.rows())
        # A batch that both runs share is in the sink's hands before one of them fails; a collected item never is.
        assert good == (written if kind in COLLECTING else written - set(range(300)))


@pytest.mark.parametrize("kind", kinds(ALL))
async def test_a_failed_run_alone_writes_nothing_at_all(tmp_path: Path, kind: str, case_of: CaseOf) -> None:
    async with case_of(kind, tmp_path) as case:
        await (await case.emit(run_of(0), range(300))).discard()
        await case.sinks.close()
        assert case.rows() == []


@pytest.mark.parametrize("kind", kinds(ALL))
async def test_runs_and_their_tasks_may_emit_side_by_side(tmp_path: Path, kind: str, case_of: CaseOf) -> None:
    async with case_of(kind, tmp_path) as case:

        async def whole_run(hour: int) -> None:
            session = case.sinks.session(run_of(hour), default=case.sink)

            async def part(start: int) -> None:
                for number in range(start, start + 20):
                    await session.emit({"n": number}, key=str(number))
                    await asyncio.sleep(0)

            await asyncio.gather(*(part(hour * 100 + 20 * task) for task in range(3)))
            await case.finish(session)

        await asyncio.gather(*(whole_run(hour) for hour in range(4)))
        assert case.rows() == [hour * 100 + number for hour in range(4) for number in range(60)]


@pytest.mark.parametrize("kind", kinds(ONCE))
async def test_a_repeated_run_counts_once(tmp_path: Path, kind: str, case_of: CaseOf) -> None:
    async with case_of(kind, tmp_path) as case:
        for fence in (1, 2, 3):
            await case.run(run_of(0, fence=fence), [1, 2, 3])
            await case.run(run_of(1, fence=fence), [4])
        assert case.rows() == [1, 2, 3, 4]


@pytest.mark.parametrize("kind", kinds(REPLACING))
async def test_a_run_that_emits_nothing_removes_what_its_interval_had(
    tmp_path: Path, kind: str, case_of: CaseOf
) -> None:
    async with case_of(kind, tmp_path) as case:
        await case.run(run_of(0), [1, 2])
        await case.run(run_of(1), [3])
        await case.run(run_of(0, fence=2), [])
        assert case.rows() == [3]


@pytest.mark.parametrize("kind", kinds(REPLACING))
async def test_a_registered_sink_removes_what_the_job_had_though_the_run_emits_nothing(
    tmp_path: Path, kind: str, case_of: CaseOf
) -> None:
    async with case_of(kind, tmp_path) as case:
        case.sinks.add(case.sink, types=[dict])

        async def run(run: SinkRun, *numbers: int) -> None:
            session = case.sinks.session(run)
            for number in numbers:
                await session.emit({"n": number})
            await case.finish(session)

        await run(run_of(0, fence=1))
        assert [] == os.listdir(tmp_path)  # no file without rows, and no database
        await run(run_of(0, fence=2), 1, 2)
        await run(run_of(1, fence=3), 3)
        await run(run_of(2, fence=4, job_id="other"), 4)
        await run(run_of(0, fence=5, job_id="other"))
        assert [1, 2, 3, 4] == case.rows()
        await run(run_of(0, fence=6))
        assert [3, 4] == case.rows()


@pytest.mark.parametrize("kind", kinds(FENCED))
async def test_a_stale_fence_writes_nothing(tmp_path: Path, kind: str, case_of: CaseOf) -> None:
    """Sinks that write by themselves; what travels with a finish is fenced by the store."""
    async with case_of(kind, tmp_path) as case:
        late = await case.emit(run_of(0, fence=1), [1])
        await case.run(run_of(0, fence=2), [2])
        with pytest.raises(StaleFenceError):
            await case.finish(late)
        await late.discard()
        assert case.rows() == [2]


@pytest.mark.parametrize("kind", kinds([kind for kind in FENCED if kind in LOCAL]))
async def test_runs_of_a_new_store_count_though_its_fences_begin_again(
    tmp_path: Path, kind: str, case_of: CaseOf
) -> None:
    early, before, late = new_id(), new_id(), new_id()
    async with case_of(kind, tmp_path) as case:
        await case.run(run_of(0, fence=9, run_id=before), [1])
        await case.run(run_of(0, fence=2, run_id=late), [2])
        for stale in (run_of(0, fence=1, run_id=late), run_of(0, fence=1, run_id=early)):
            session = await case.emit(stale, [3])
            with pytest.raises(StaleFenceError):
                await case.finish(session)
            await session.discard()
        assert case.rows() == [2]


@pytest.mark.parametrize("kind", kinds(LOCAL))
async def test_a_job_replaces_what_it_wrote_under_an_earlier_id(tmp_path: Path, kind: str, case_of: CaseOf) -> None:
    async with case_of(kind, tmp_path) as case:
        await case.run(run_of(0, job_id="old"), [1])
        await case.run(run_of(1, job_id="old"), [2])
        await case.run(run_of(0, fence=2, job_id="new", was=("older", "old")), [3])
        assert case.rows() == [2, 3]


_RUNS = st.lists(st.tuples(st.integers(0, 2), st.lists(st.integers(0, 50), max_size=5), st.booleans()), max_size=8)


async def _play(case: Case, runs: list[tuple[int, list[int], bool]]) -> tuple[list[int], list[int]]:
    """Run all; return what is there and what should be."""
    async with case:
        expected: dict[int, list[int]] = {}
        for fence, (hour, numbers, ends_well) in enumerate(runs, 1):
            session = await case.emit(run_of(hour, fence=fence), numbers)
            if ends_well:
                await case.finish(session)
                expected[hour] = numbers
            else:
                await session.discard()
        return case.rows(), sorted(number for numbers in expected.values() for number in numbers)


@pytest.mark.parametrize("kind", kinds(REPLACING))
@settings(max_examples=25, deadline=None)
@given(runs=_RUNS)
def test_each_interval_holds_what_its_last_good_run_emitted(
    kind: str, case_of: CaseOf, runs: list[tuple[int, list[int], bool]]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        found, expected = asyncio.run(_play(case_of(kind, Path(folder)), runs))
    assert expected == found


@pytest.mark.parametrize("kind", kinds([kind for kind in FENCED if kind in LOCAL]))
@pytest.mark.parametrize("ids", [("old", "new"), ("new", "old")])
async def test_a_stale_claim_under_another_name_of_its_job_writes_nothing(
    tmp_path: Path, kind: str, case_of: CaseOf, ids: tuple[str, str]
) -> None:
    """A job was renamed while a node that lost its lease still ran it, or the rename was taken back."""
    was: dict[str, tuple[str, ...]] = {"new": ("older", "old")}
    async with case_of(kind, tmp_path) as case:
        late = await case.emit(run_of(0, fence=6, job_id=ids[0], was=was.get(ids[0], ())), [1])
        await case.run(run_of(0, fence=7, job_id=ids[1], was=was.get(ids[1], ())), [2])
        with pytest.raises((StaleFenceError, SinkWriteError)):  # a file is one job's
            await case.finish(late)
        await late.discard()
        assert case.rows() == [2]
