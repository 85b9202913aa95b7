"""A part of a topology: which workers run here, and what may cross the border."""

from collections.abc import Iterator
from typing import Any

import pytest

from mainspring.dataflow import Dataflow, Edge, JetStream, Process, Runner, Topology
from mainspring.dataflow._part import Part
from mainspring.errors import InvalidArgumentError, MisuseError


def source(p: Process) -> Iterator[int]:
    yield 1


def work(p: Process, number: int) -> int:
    return number


def keep(p: Process, number: int) -> None: ...


STAGES = (Runner(source), Runner(work, 3, edge=Edge(via=JetStream(stream="numbers"))), Runner(keep))


@pytest.mark.parametrize(
    ("names", "places", "entries", "edges"),
    [
        (("source",), ((0,), (), ()), (0,), (1,)),
        (("work", "2"), ((), (0, 1, 2), (0,)), (1,), (1, 2)),
        (("0", "1", "keep"), ((0,), (0, 1, 2), (0,)), (0,), (1, 2)),
    ],
)
def test_stages_are_named_by_title_or_number(names: Any, places: Any, entries: Any, edges: Any) -> None:
    part = Part.chosen(Topology(STAGES), names)
    assert (places, entries, edges) == (part.places, part.entries, part.edges)


def test_single_workers_may_run_apart_when_both_their_edges_cross_machines() -> None:
    last = Runner(keep, edge=Edge(via=JetStream(stream="results")))
    part = Part.chosen(Topology((*STAGES[:2], last)), ("1.0", "1.2"))
    assert ((), (0, 2), ()) == part.places
    assert ((1,), (1, 2)) == (part.entries, part.edges)


@pytest.mark.parametrize(
    ("names", "says"),
    [
        (("nothing",), "names='nothing'"),
        ((), "at least one"),
        (("work",), "all workers of work and keep, or none of them"),
        (("1.0", "keep"), "all workers of work and keep"),
    ],
)
def test_what_cannot_run_apart_is_refused(names: Any, says: str) -> None:
    with pytest.raises(InvalidArgumentError, match=says):
        Dataflow("f", STAGES).part(*names)


def test_a_part_says_what_it_runs() -> None:
    assert "1-0-0" in repr(Dataflow("f", STAGES).part("source"))


async def test_what_runs_has_no_parts() -> None:
    async with Dataflow("f", [Runner(source)], mode="inline") as flow:
        with pytest.raises(MisuseError, match="was started as a whole"):
            flow.part("source")
