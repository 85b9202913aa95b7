"""Workers that are tasks end as processes do: with a code, or killed."""

import asyncio
import signal
import socket
import threading
from types import SimpleNamespace

import pytest
from tests.unit.dataflow.support_flows import count_forever, count_to_100

from mainspring.base import Backoff
from mainspring.dataflow import Dataflow, Process, Runner, StageFailedError, _launch
from mainspring.dataflow._control import control_pair
from mainspring.dataflow._launch import choose_start_method, launch_process
from mainspring.dataflow._plan import WorkerPlan
from mainspring.errors import InvalidArgumentError


async def test_a_task_that_fails_is_logged_and_restarted(caplog: pytest.LogCaptureFixture) -> None:
    def broken(p: Process) -> None:
        raise OSError("no such table")

    flow = Dataflow("f", [Runner(count_to_100, startup=broken)], mode="inline", restart=Backoff(0.0, max_tries=2))
    with pytest.raises(StageFailedError, match="exit code 1: OSError: no such table"):
        await flow.__aenter__()
    assert "worker 0.0 has failed" in caplog.text


async def test_a_task_that_does_not_end_is_cancelled(caplog: pytest.LogCaptureFixture) -> None:
    began = asyncio.Event()

    async def stuck(p: Process, number: int) -> None:
        began.set()
        await asyncio.Event().wait()

    async with Dataflow("f", [Runner(count_to_100), Runner(stuck)], mode="inline", stop_timeout=0.05):
        await began.wait()
    assert "killed: 0.0, 1.0" in caplog.text


def plan_of(stage: Runner) -> WorkerPlan:
    return WorkerPlan(
        flow="f", stage=stage, level=0, index=0, following=None, delivery="at-least-once", dead_letter=None
    )


async def test_a_process_keeps_a_line_open_until_it_has_ended() -> None:
    ours, theirs = control_pair()
    with ours, theirs:
        child = await launch_process(plan_of(Runner(count_forever)), theirs, strangers=[], start_method="forkserver")
        assert 1 == len(child.descriptors)
        child.kill()
        assert -signal.SIGKILL == await child.wait()
        assert [] == child.descriptors


async def test_a_process_that_cannot_be_started_leaves_no_line_open() -> None:
    ours, theirs = control_pair()
    with ours, theirs, pytest.raises(InvalidArgumentError, match="start_method"):
        await launch_process(plan_of(Runner(count_forever)), theirs, strangers=[], start_method="by magic")


@pytest.mark.parametrize("failing", ["Ear", "child_talk"])
async def test_a_line_whose_making_fails_is_closed(monkeypatch: pytest.MonkeyPatch, failing: str) -> None:
    pairs: list[tuple[socket.socket, socket.socket]] = []

    def make_pair() -> tuple[socket.socket, socket.socket]:
        pairs.append(socket.socketpair())
        return pairs[-1]

    monkeypatch.setattr(_launch, "socket", SimpleNamespace(socketpair=make_pair))
    monkeypatch.setattr(_launch, failing, None)
    ours, theirs = control_pair()
    with ours, theirs, pytest.raises((TypeError, AttributeError), match="None"):
        await launch_process(plan_of(Runner(count_forever)), theirs, strangers=[], start_method="forkserver")
    assert [(-1, -1)] == [(one.fileno(), other.fileno()) for one, other in pairs]


def test_no_fork_beside_a_thread() -> None:
    enough = threading.Event()
    thread = threading.Thread(target=enough.wait)
    thread.start()
    try:
        assert choose_start_method() is None
    finally:
        enough.set()
        thread.join()
