"""Real programs get real signals at the worst moments; their last lines and exit codes are looked at.

A program says over its standard output where it is, so that no test has to wait for a time.
"""

import signal
import subprocess
import sys
from contextlib import AbstractContextManager

import pytest
from tests.faults.support_programs import lines_until, started

HEAD = """
import asyncio, sys
from mainspring.runtime import Service, entrypoint, run

def say(text):
    print(text, flush=True)

class Good(Service):
    async def start(self): say("good starts")
    async def stop(self, exc=None): say(f"good stops: {exc}")

class Slow(Service):
    async def start(self):
        say("slow starts")
        await asyncio.Event().wait()

class SlowStop(Service):
    async def start(self): pass
    async def stop(self, exc=None):
        say("stopping")
        await asyncio.Event().wait()

async def main():
    say("main")
    try:
        await asyncio.Event().wait()
    finally:
        say("main ends")
"""

PROGRAMS = {
    "run": "run(main(), Good())",
    "sync": "with entrypoint(Good()) as loop: loop.run_until_complete(main())",
    "forever": "with entrypoint(Good()) as loop: loop.call_soon(say, 'main'); loop.run_forever()\n",
    "async": "async def program():\n    async with entrypoint(Good()): await main()\nasyncio.run(program())",
    "foreign loop": "with entrypoint(Good(), loop=asyncio.new_event_loop()) as loop: loop.run_until_complete(main())",
}


def program(text: str, *, uvloop: bool) -> AbstractContextManager["subprocess.Popen[str]"]:
    return started([sys.executable, "-c", HEAD + text], MAINSPRING_USE_UVLOOP=str(int(uvloop)))


@pytest.mark.parametrize("uvloop", [False, pytest.param(True, marks=pytest.mark.extras)])
@pytest.mark.parametrize("form", PROGRAMS)
def test_a_signal_cancels_main_stops_services_and_sets_the_exit_code(form: str, uvloop: bool) -> None:
    number = signal.SIGINT if uvloop else signal.SIGTERM
    with program(PROGRAMS[form], uvloop=uvloop) as child:
        assert ["good starts", "main"] == lines_until(child, "main")
        child.send_signal(number)
        output, errors = child.communicate(timeout=30)
    expected = ["main ends", "good stops: Interrupt signal received"]
    if form == "forever":
        expected = expected[1:]
    assert expected == [line for line in output.splitlines() if line in expected]
    assert "Traceback" not in errors
    assert 128 + number == child.returncode


JUST_ENDED = {
    "the start": """
@entrypoint.POST_START.connect
async def last_of_the_start(): os.kill(os.getpid(), signal.SIGTERM)
with entrypoint(Good(), **options) as loop: loop.run_forever()
""",
    "the start, and no loop runs": """
@entrypoint.POST_START.connect
async def last_of_the_start(): os.kill(os.getpid(), signal.SIGTERM)
with entrypoint(Good(), **options) as loop: signal.pause()
""",
    "what came before": """
async def short(): os.kill(os.getpid(), signal.SIGTERM)
with entrypoint(Good(), **options) as loop: loop.run_until_complete(short()); loop.run_until_complete(main())
""",
}


@pytest.mark.parametrize("own_loop", [True, False])
@pytest.mark.parametrize("ended", JUST_ENDED)
def test_a_signal_is_not_lost_when_what_it_would_cancel_has_just_ended(ended: str, own_loop: bool) -> None:
    options = "options = {}\n" if own_loop else "options = {'loop': asyncio.new_event_loop()}\n"
    with program("import os, signal\n" + options + JUST_ENDED[ended], uvloop=False) as child:
        output, errors = child.communicate(timeout=30)
    assert ["good starts", "good stops: Interrupt signal received"] == [
        line for line in output.splitlines() if line.startswith("good")
    ]
    assert "Traceback" not in errors
    assert 143 == child.returncode


def test_a_signal_during_a_slow_start_stops_what_has_started() -> None:
    with program("run(main(), Good(), Slow())", uvloop=False) as child:
        lines_until(child, "slow starts")
        child.send_signal(signal.SIGTERM)
        output, errors = child.communicate(timeout=30)
    assert "good stops: Interrupt signal received\n" == output
    assert "Traceback" not in errors
    assert 143 == child.returncode


def test_a_signal_during_a_slow_stop_sets_the_exit_code_and_lets_it_end() -> None:
    text = """
class Slowly(Good):
    async def stop(self, exc=None):
        say("stopping")
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
        say(f"stopped: {exc}")
async def short(): say("main")
run(short(), Slowly())"""
    with program(text, uvloop=False) as child:
        lines_until(child, "stopping")
        child.send_signal(signal.SIGTERM)
        output, errors = child.communicate("go on\n", timeout=30)
    assert "stopped: None\n" == output
    assert "Traceback" not in errors
    assert 143 == child.returncode


def test_a_second_signal_ends_the_program_at_once() -> None:
    with program("run(main(), SlowStop())", uvloop=False) as child:
        lines_until(child, "main")
        child.send_signal(signal.SIGTERM)
        lines_until(child, "stopping")
        child.send_signal(signal.SIGINT)
        _, errors = child.communicate(timeout=30)
    assert "Traceback" not in errors
    assert 130 == child.returncode


def test_a_second_signal_ends_even_a_program_whose_loop_is_blocked() -> None:
    blocked = """
import threading
class Blocked(Service):
    async def start(self): pass
    async def stop(self, exc=None):
        say("stopping")
        threading.Event().wait()
run(main(), Blocked())"""
    with program(blocked, uvloop=False) as child:
        lines_until(child, "main")
        child.send_signal(signal.SIGTERM)
        lines_until(child, "stopping")
        child.send_signal(signal.SIGTERM)
        child.communicate(timeout=30)
    assert 143 == child.returncode


@pytest.mark.parametrize("arguments", ["main(), SlowStop()", "stubborn()"])
def test_a_stop_that_takes_too_long_ends_with_its_own_code(arguments: str) -> None:
    stubborn = """
async def stubborn():
    say("main")
    while True:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            say("no")
"""
    with program(f"{stubborn}run({arguments}, shutdown_timeout=0.1)", uvloop=False) as child:
        lines_until(child, "main")
        child.send_signal(signal.SIGTERM)
        _, errors = child.communicate(timeout=30)
    assert 70 == child.returncode
    assert "did not" in errors


def test_a_signal_outside_of_the_loop_stops_the_services_too() -> None:
    text = "import threading\nwith entrypoint(Good()) as loop: say('main'); threading.Event().wait()"
    with program(text, uvloop=False) as child:
        lines_until(child, "main")
        child.send_signal(signal.SIGTERM)
        output, errors = child.communicate(timeout=30)
    assert "good stops: Interrupt signal received\n" == output
    assert "Traceback" not in errors
    assert 143 == child.returncode


def test_logs_of_the_last_moment_are_written() -> None:
    text = """
import logging
async def chatty():
    for number in range(500): logging.info("record %d", number)
run(chatty())"""
    with program(text, uvloop=False) as child:
        _, errors = child.communicate(timeout=30)
    assert [f"record {number}" for number in range(500)] == errors.splitlines()
    assert 0 == child.returncode


def test_a_forked_child_logs_its_own_records_once() -> None:
    text = """
import logging, os, warnings
from mainspring.runtime import basic_config
warnings.simplefilter("ignore", DeprecationWarning)  # 3.12 and newer warn of a fork beside threads: it is the case here
basic_config(log_format="plain", flush_interval=10)
logging.info("parent")
if os.fork() == 0:
    logging.info("child")
    logging.shutdown()
    os._exit(0)
os.wait()"""
    with program(text, uvloop=False) as child:
        _, errors = child.communicate(timeout=30)
    assert ["child", "parent"] == errors.splitlines()


def test_a_sink_that_hangs_keeps_no_program_from_ending() -> None:
    """Nobody reads the pipe of stderr, which is full after some records."""
    text = """
import logging
async def chatty():
    for number in range(5000): logging.info("record %d, long enough to fill a pipe before the end", number)
    say("main ends")
run(chatty())
logging.info("one more, after the end")
say("after")"""
    with program(text, uvloop=False) as child:
        lines_until(child, "after")
        assert 0 == child.wait(30)
        assert child.stderr is not None
        assert child.stderr.readline().startswith("record ")
