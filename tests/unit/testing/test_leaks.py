"""Holdings name what a process has, and what came since; the plugin's tests show how tests fail by it."""

import asyncio
import gc
import os
import subprocess
import sys
import threading
import weakref

import pytest

from mainspring.testing import _leaks
from mainspring.testing._leaks import Holdings, LeakKind, pending_tasks, wait_for_leaks

_DESCRIPTORS: tuple[LeakKind, ...] = ("descriptors",)


def test_everything_that_came_is_named_by_its_kind() -> None:
    before = Holdings.take()
    reader, writer = os.pipe()
    stop = threading.Event()
    thread = threading.Thread(target=stop.wait, name="counted")
    thread.start()
    with subprocess.Popen(
        [sys.executable, "-c", "input('counted')"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        assert child.stdout is not None
        assert b"counted" == child.stdout.read(7)
        found = Holdings.take().grown_since(before)
        assert found == Holdings.take().grown_since(before.with_growth(before, before))
        assert [] == Holdings.take().grown_since(before.with_growth(before, Holdings.take()))
        child.communicate(b"\n")
    stop.set()
    thread.join()
    os.close(reader)
    os.close(writer)
    words = "\n".join(found)
    assert f"children: process {child.pid} ({sys.executable} -c input('counted'))" in words
    assert "threads: <Thread(counted, started" in words
    assert f"descriptors: {reader} -> pipe:[" in words
    assert [] == wait_for_leaks(before, patience=1.0)


def test_kinds_may_be_ignored() -> None:
    before = Holdings.take()
    descriptor = os.dup(0)
    assert 1 == len(wait_for_leaks(before, patience=0.01))
    assert [] == wait_for_leaks(before, ignore=_DESCRIPTORS, patience=0.01)
    os.close(descriptor)


class _Owner:
    """Garbage that only a collection finds."""

    def __init__(self) -> None:
        self.itself = self


def test_what_a_thread_held_to_its_end_is_collected_then(monkeypatch: pytest.MonkeyPatch) -> None:
    collect, held, collected = gc.collect, threading.Event(), threading.Event()

    def hold() -> None:
        owner = _Owner()
        weakref.finalize(owner, os.close, os.dup(0))
        held.set()
        collected.wait(60)

    def collect_and_tell() -> None:
        collect()
        collected.set()

    before = Holdings.take()
    threading.Thread(target=hold).start()
    assert held.wait(60)
    monkeypatch.setattr(gc, "collect", collect_and_tell)
    assert [] == wait_for_leaks(before, patience=60.0)


async def test_pending_tasks_are_those_that_were_not_there_before() -> None:
    loop = asyncio.get_running_loop()
    before = Holdings.take([loop])
    task = loop.create_task(asyncio.sleep(60), name="counted task")
    (words,) = pending_tasks(loop, before)
    task.cancel()
    await asyncio.wait([task])
    assert "counted task" in words
    assert [] == pending_tasks(loop, before)


def test_an_ended_child_that_nobody_waited_for_is_still_one() -> None:
    before = Holdings.take()
    child = subprocess.Popen(["true"])
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert [f"children: process {child.pid} (ended, not waited for)"] == Holdings.take().grown_since(before)
    assert 0 == child.wait()


def test_what_went_in_the_meantime_and_systems_without_proc_count_as_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert "gone" == _leaks._command(4194305)
    assert [] == _leaks._entries("/no/such/directory")

    def stale(_: str) -> list[str]:
        return ["987654"]

    monkeypatch.setattr(_leaks, "_entries", stale)
    assert {} == _leaks._descriptors() == _leaks._descendants(987654)
