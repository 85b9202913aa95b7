"""What a worker is to do travels whole, or is refused with the place of what cannot."""

import threading
from collections.abc import Iterator

import pytest
from tests.unit.dataflow.support_flows import count_to_100

from mainspring.dataflow import Process, Runner, _plan
from mainspring.dataflow._plan import WorkerPlan, pack, unpack
from mainspring.errors import TaskNotPicklableError


def plan_of(stage: Runner) -> WorkerPlan:
    return WorkerPlan("f", stage, 0, 1, None, "at-least-once", None, acknowledged=7)


def test_a_plan_is_the_same_after_its_journey_and_without_one() -> None:
    plan = plan_of(Runner(count_to_100))
    assert plan == unpack(pack(plan))
    assert plan is unpack(plan)
    assert "0.1" == plan.id


@pytest.mark.extras
def test_closures_travel_with_cloudpickle() -> None:
    first = 3

    def source(p: Process) -> Iterator[int]:
        yield first

    stage = unpack(pack(plan_of(Runner(source)))).stage
    assert isinstance(stage, Runner)
    assert "source" == stage.label


@pytest.mark.parametrize("has_cloudpickle", [pytest.param(True, marks=pytest.mark.extras), False])
def test_what_cannot_travel_is_named(monkeypatch: pytest.MonkeyPatch, *, has_cloudpickle: bool) -> None:
    lock = threading.Lock()

    def source(p: Process) -> Iterator[int]:
        with lock:
            yield 1

    if not has_cloudpickle:
        monkeypatch.setattr(_plan, "find_spec", dict[str, object]().get)
    with pytest.raises(TaskNotPicklableError, match=r"stage 0 \(source\) of 'f'"):
        pack(plan_of(Runner(source)))
