"""`aiomisc_pytest`: its fixtures, options and marks; load it with `-p mainspring.compat.aiomisc_pytest`.

An async test, and a test that asks for `event_loop` or `loop`, gets its `services` started, as there. A plain
test gets nothing: no loop, no pool, no program. `AIOMISC_LOOP_AUTOUSE=0` leaves async tests alone, too.
"""

import asyncio
import functools
import inspect
import os
import socket
from collections.abc import Callable, Coroutine, Generator
from contextlib import ExitStack
from typing import Any, Final, NamedTuple  # Any: tests are whatever their authors wrote
from weakref import WeakSet

import pytest

from mainspring.compat.aiomisc import compat
from mainspring.concurrency import ThreadPoolExecutor
from mainspring.resilience import timeout
from mainspring.testing import TCPProxy

__all__ = ("PortSocket", "TCPProxy")

pytest_plugins = ("mainspring.testing.plugin",)

Test = Callable[..., Coroutine[Any, Any, object]]
_LOOPS: Final = ("event_loop", "loop")
_with_pool: "WeakSet[asyncio.AbstractEventLoop]" = WeakSet()


class PortSocket(NamedTuple):
    """A socket that is bound, and its port."""

    port: int
    socket: socket.socket


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the options."""
    group = parser.getgroup("aiomisc plugin options")
    group.addoption("--aiomisc-debug", action="store_true", help="debug mode of the event loop")
    group.addoption("--aiomisc-pool-size", type=int, default=4, help="threads of the default executor")
    group.addoption("--aiomisc-test-timeout", type=float, default=None, help="seconds that an async test may take")


def pytest_configure(config: pytest.Config) -> None:
    """Declare the marks."""
    config.addinivalue_line("markers", "forbid_get_event_loop: asyncio.get_event_loop() raises inside the test")
    config.addinivalue_line("markers", "catch_loop_exceptions: what nobody handles on the loop fails the test")


def pytest_itemcollected(item: pytest.Item) -> None:
    """Let the tests that are concerned ask for a loop and a program."""
    if not isinstance(item, pytest.Function):
        return
    wanted = any(name in item.fixturenames for name in _LOOPS)
    if not wanted and inspect.iscoroutinefunction(item.obj):
        wanted = os.environ.get("AIOMISC_LOOP_AUTOUSE", "1") == "1"
    for name in ("entrypoint", "event_loop") if wanted else ():
        if name not in item.fixturenames:
            item.fixturenames.insert(0, name)


@pytest.fixture
def loop_debug(pytestconfig: pytest.Config) -> bool:
    """Whether the loop runs in debug mode."""
    return bool(pytestconfig.getoption("--aiomisc-debug"))


@pytest.fixture
def aiomisc_test_timeout(pytestconfig: pytest.Config) -> float | None:
    """The seconds that an async test may take."""
    seconds: float | None = pytestconfig.getoption("--aiomisc-test-timeout")
    return seconds


@pytest.fixture
def thread_pool_size(pytestconfig: pytest.Config) -> int:
    """The threads of the loop's default executor."""
    return int(pytestconfig.getoption("--aiomisc-pool-size") or 1)


@pytest.fixture
def thread_pool_executor() -> Callable[[int], Any]:
    """What makes the loop's default executor from a number of threads."""
    return ThreadPoolExecutor


@pytest.fixture
def event_loop_policy() -> Any:
    """The policy that makes loops; the loop of a test is made by mainspring's plugin."""
    return getattr(compat, "event_loop_policy")  # noqa: B009  # made at its first use


@pytest.fixture
def aiomisc_func_wrap() -> Callable[[Test], Test]:
    """What is put around each async test; override it."""
    return lambda test: test


@pytest.fixture
def event_loop(
    request: pytest.FixtureRequest,
    loop_debug: bool,
    thread_pool_size: int,
    thread_pool_executor: Callable[[int], Any],
    aiomisc_test_timeout: float | None,
    aiomisc_func_wrap: Callable[[Test], Test],
) -> asyncio.AbstractEventLoop:
    """The loop on which the test and its fixtures run."""
    from mainspring.testing import TEST_WRAPPER, loop_of  # the plugin itself: pytest wants to import it first

    item = request._pyfuncitem
    loop = loop_of(item).loop
    loop.set_debug(loop_debug)
    if loop not in _with_pool:  # one that wide fixtures share has its pool already
        _with_pool.add(loop)
        loop.set_default_executor(thread_pool_executor(thread_pool_size))

    def wrap(test: Test) -> Test:
        wrapped = _watched(aiomisc_func_wrap(test), item)
        return wrapped if aiomisc_test_timeout is None else timeout(aiomisc_test_timeout)(wrapped)

    item.stash[TEST_WRAPPER] = wrap
    return loop


@pytest.fixture
def loop(event_loop: asyncio.AbstractEventLoop) -> asyncio.AbstractEventLoop:
    """The older name of `event_loop`."""
    return event_loop


def _watched(test: Test, item: pytest.Item) -> Test:
    """Do what the marks of a test say."""

    @functools.wraps(test)
    async def run(*args: Any, **kwargs: Any) -> None:
        errors: list[dict[str, Any]] = []
        running = asyncio.get_running_loop()
        with ExitStack() as after:
            if item.get_closest_marker("catch_loop_exceptions"):
                after.callback(running.set_exception_handler, running.get_exception_handler())
                running.set_exception_handler(lambda _, context: errors.append(context))
            if item.get_closest_marker("forbid_get_event_loop"):
                patch = after.enter_context(pytest.MonkeyPatch.context())
                patch.setattr(asyncio, "get_event_loop", _forbidden)
            await test(*args, **kwargs)
        if errors:
            pytest.fail(f"the loop has reported: {errors}")

    return run


def _forbidden() -> asyncio.AbstractEventLoop:
    pytest.fail("asyncio.get_event_loop() was called, which the mark forbid_get_event_loop forbids")


@pytest.fixture
def aiomisc_socket_factory(localhost: str) -> Generator[Callable[..., PortSocket]]:
    """A function that returns a bound socket and its port; the sockets are closed after the test."""
    with ExitStack() as sockets:

        def make(*args: Any) -> PortSocket:
            made = sockets.enter_context(socket.socket(*args))
            made.bind((localhost, 0))
            return PortSocket(made.getsockname()[1], made)

        yield make


@pytest.fixture
def aiomisc_unused_port_factory(unused_port_factory: Callable[[], int]) -> Callable[..., int]:
    """A function that returns ports that nobody uses now."""
    return lambda *_: unused_port_factory()


@pytest.fixture
def aiomisc_unused_port(unused_port_factory: Callable[[], int]) -> int:
    """A port that nobody uses now."""
    return unused_port_factory()
