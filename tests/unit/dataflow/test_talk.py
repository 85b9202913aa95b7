"""What the stages of a dataflow log reaches the loggers of the program, whole, however the stages were started."""

import asyncio
import logging
import os
import socket
import sys
from collections.abc import Iterator
from contextvars import ContextVar

import pytest
from tests.unit.dataflow.support_flows import count_to_100, double, report

from mainspring.base import child_talk, encode_frame
from mainspring.dataflow import Dataflow, Runner
from mainspring.dataflow._talk import Ear, speak
from mainspring.testing import eventually

run_id: ContextVar[str] = ContextVar("run_id", default="none")


class Kept(logging.Handler):
    """Keeps the records of the stages, and the run in whose context each came."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []
        self.runs: set[str] = set()

    def emit(self, record: logging.LogRecord) -> None:
        if record.name == "report":
            self.records.append(record)
            self.runs.add(run_id.get())


@pytest.fixture
def kept(monkeypatch: pytest.MonkeyPatch) -> Iterator[Kept]:
    """Listen to what children say, at level INFO."""
    monkeypatch.setattr(child_talk, "speaker", child_talk.speaker)
    monkeypatch.setattr(child_talk, "listen", child_talk.listen)
    handler, root = Kept(), logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    yield handler
    root.removeHandler(handler)
    root.setLevel(level)


@pytest.mark.parametrize("start_method", ["forkserver", "spawn"])
async def test_every_record_of_every_stage_comes_in_the_context_of_the_flow(start_method: str, kept: Kept) -> None:
    run_id.set("r-17")
    topology = [Runner(count_to_100), Runner(double), Runner(report, 2)]
    async with Dataflow("f", topology, start_method=start_method) as flow:
        await flow.wait()
    assert list(range(0, 200, 2)) == sorted(int(one.getMessage().split()[-1]) for one in kept.records)
    assert {"r-17"} == kept.runs
    assert {"2.0", "2.1"} >= {vars(one)["place"] for one in kept.records}
    assert {("report", logging.INFO)} == {(one.funcName, one.levelno) for one in kept.records}
    assert os.getpid() not in {one.process for one in kept.records}


async def test_forked_stages_write_through_the_program_too() -> None:
    """In an interpreter of its own: this one has threads and much else that a fork would copy."""
    command = (sys.executable, "-m", "tests.unit.dataflow.support_logged_flow")
    child = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    output, _ = await child.communicate()
    method, *lines = output.decode().splitlines()
    assert "fork" == method
    assert [f"1.0 got {number}" for number in range(100)] == lines


async def test_frames_are_heard_until_the_line_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[bytes] = []
    monkeypatch.setattr(child_talk, "listen", heard.append)
    ours, theirs = socket.socketpair()
    ear = Ear(ours)
    assert [ours.fileno()] == ear.descriptors
    payload = b"x" * 200_000
    with theirs:
        await asyncio.to_thread(theirs.sendall, b"".join(encode_frame(b"one") + encode_frame(payload)))
        await eventually(lambda: len(heard) == 2)
    await ear.hear_out()
    assert [b"one", payload] == heard
    assert [] == ear.descriptors
    assert -1 == ours.fileno()


async def test_a_line_that_breaks_is_closed() -> None:
    ours, theirs = socket.socketpair()
    ear = Ear(ours)
    ear._on_readable()  # a reader may be called though nothing is there
    assert [] != ear.descriptors
    ours.send(b"what the process never reads resets the line when it ends")
    theirs.close()
    await ear.hear_out()
    assert -1 == ours.fileno()


async def test_a_frame_that_is_too_long_ends_the_hearing_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    heard: list[bytes] = []
    monkeypatch.setattr(child_talk, "listen", heard.append)
    ours, theirs = socket.socketpair()
    with theirs:
        ear = Ear(ours)
        theirs.sendall(b"".join(encode_frame(b"before")) + (1 << 30).to_bytes(4, "little"))
        await eventually(lambda: heard == [b"before"])
        theirs.sendall(b"more")
        await eventually(lambda: ear.descriptors == [])
    await ear.hear_out()
    assert [f"what a worker's process says is heard no more: {ear._decoder.refusal}"] == [
        one.getMessage() for one in caplog.records if one.levelno == logging.ERROR
    ]
    assert -1 == ours.fileno()


async def test_who_holds_the_line_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mainspring.dataflow._talk._LAST_WORDS_SECONDS", 0.0)
    ours, theirs = socket.socketpair()
    with theirs:
        await Ear(ours).hear_out()
        assert -1 == ours.fileno()


def test_words_for_a_supervisor_that_is_gone_are_no_error() -> None:
    said: list[str] = []

    ours, theirs = socket.socketpair()
    ours.close()
    with theirs:
        flush = speak(theirs, lambda send: lambda: said.append(str(send(b"last words"))))
        flush()
        speak(theirs, None)()
    assert ["None"] == said
