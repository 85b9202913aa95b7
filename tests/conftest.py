"""What every test of the suite leaves as it found it."""

import asyncio
import logging
import os
import sys
import tempfile
from collections.abc import Generator, Iterator
from contextlib import nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import Any  # Any: asyncio's own word for what went wrong

import pytest
from hypothesis import HealthCheck, settings

from mainspring.base import SystemClock, _random, use_clock
from mainspring.testing import eventually

# Read when gRPC is loaded. Its fork handlers open a descriptor in the parent, which looks like a leak of the test
# that forked, and no child of a test uses gRPC of its parent.
os.environ["GRPC_ENABLE_FORK_SUPPORT"] = "false"

# The path of a Unix socket has 107 bytes at most, and below this directory follow up to 60 to that of the test.
if len(tempfile.gettempdir()) > 20:
    os.environ["TMPDIR"] = tempfile.tempdir = "/tmp"

# How long an example takes says how loaded the machine is, and nothing about what is tested.
settings.register_profile("suite", settings(), deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("suite")
(eventually.__kwdefaults__ or {})["within"] = 30.0

# Their jobs have schedules, many of each hour, and run in real time.
_SCHEDULING = tuple(Path(__file__).parent / name for name in ("conformance", "unit/cli", "unit/jobs", "unit/web"))
_LONGEST = 60.0  # seconds that such a test may take

_report = asyncio.BaseEventLoop.default_exception_handler


def _report_what_is_of_now(loop: asyncio.BaseEventLoop, context: dict[str, Any]) -> None:
    """Leave out what the collector finds of earlier tests: it would be in the log of a later one."""
    if not loop.is_closed():
        _report(loop, context)


asyncio.BaseEventLoop.default_exception_handler = _report_what_is_of_now  # type: ignore[assignment, method-assign]


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What asks for `mainspring_count` is a stress test, so that `make stress` misses none."""
    for item in items:
        if isinstance(item, pytest.Function) and "mainspring_count" in item.fixturenames:
            item.add_marker("stress")


class Ahead(SystemClock):
    """The machine's clock, so many seconds ahead."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    def time(self) -> float:
        return SystemClock.time() + self._seconds

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.time(), UTC)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Let no hour end within a test of schedules: it would bring one run more than the test expects."""
    left = 3600 - SystemClock.time() % 3600
    is_near = left < _LONGEST and any(folder in item.path.parents for folder in _SCHEDULING)
    with use_clock(Ahead(left)) if is_near else nullcontext():
        return (yield)


@pytest.fixture(autouse=True)
def logging_as_before() -> Iterator[None]:
    """Undo what a test did to the root logger, to the names of levels and to the hook for errors, all global."""
    handlers, level, hook = list(logging.root.handlers), logging.root.level, sys.excepthook
    names, numbers = dict(logging._levelToName), dict(logging._nameToLevel)
    yield
    logging.root.handlers[:] = handlers
    logging.root.setLevel(level)
    sys.excepthook = hook
    logging._levelToName.clear()
    logging._levelToName.update(names)
    logging._nameToLevel.clear()
    logging._nameToLevel.update(numbers)


@pytest.fixture(autouse=True)
def ids_of_its_own_time() -> None:
    """Ids never go back within a process, so those made under one test's virtual clock would date the next one's."""
    _random._system_source.last_id = 0
