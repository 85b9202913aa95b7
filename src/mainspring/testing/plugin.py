"""The pytest plugin of mainspring; load it with `-p mainspring.testing.plugin`.

- `async def` tests run, each on a loop of its own; async fixtures too, coroutines and generators, of every
  scope. Fixtures wider than one test live on one loop that they share, and a test that asks for such a fixture
  runs there.
- Fixtures: `entrypoint` (a program on the loop of the test, with what the fixtures `services`, `entrypoint_kwargs`
  and `default_context` say), `virtual_clock`, `unused_port`, `unused_port_factory`, `localhost`, `tcp_proxy`,
  `mainspring_count`, `valkey_server`, `nats_server`, `clickhouse_server`.
- With `mainspring_leaks = true` in the ini file every test is checked for tasks, threads, descriptors and
  child processes that it leaves behind; `@pytest.mark.allow_leaks("threads", reason=...)` excuses one.

Tests and fixtures that belong to pytest-asyncio or anyio by their marks are left to them. Nothing happens to
a test that is not async and asks for nothing, except for the leak check when that is on.
"""

import functools
import inspect
from collections.abc import Callable, Generator
from typing import Any, Final  # Any: tests and fixtures are whatever their authors wrote

import pytest

from mainspring.base import load_extra
from mainspring.concurrency import start_child_infrastructure
from mainspring.errors import LeakError
from mainspring.testing._leaks import LEAK_KINDS, Holdings, pending_tasks, wait_for_leaks
from mainspring.testing._test_loops import LoopFactory, TestLoop
from mainspring.testing._valkey import ValkeyServer
from mainspring.testing._virtual_clock import DEFAULT_START, VirtualClock

# Fixtures are found where the plugin names them.
from mainspring.testing.fixtures import clickhouse_server as clickhouse_server
from mainspring.testing.fixtures import default_context as default_context
from mainspring.testing.fixtures import entrypoint as entrypoint
from mainspring.testing.fixtures import entrypoint_kwargs as entrypoint_kwargs
from mainspring.testing.fixtures import localhost as localhost
from mainspring.testing.fixtures import nats_server as nats_server
from mainspring.testing.fixtures import services as services
from mainspring.testing.fixtures import tcp_proxy as tcp_proxy
from mainspring.testing.fixtures import unused_port as unused_port
from mainspring.testing.fixtures import unused_port_factory as unused_port_factory

_OWN_LOOP: Final = pytest.StashKey[TestLoop]()
_SHARED_LOOP: Final = pytest.StashKey[TestLoop]()
_BASELINE: Final = pytest.StashKey[Holdings]()
_FAILED: Final = pytest.StashKey[bool]()
TEST_WRAPPER: Final = pytest.StashKey[Callable[[Callable[..., Any]], Callable[..., Any]]]()
"""What fixtures may put around an async test of an item, for `compat`."""

_OTHERS_MARKS: Final = ("anyio", "asyncio", "trio")
_OTHERS_FIXTURES: Final = ("_force_asyncio_fixture", "_loop_scope")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the options."""
    group = parser.getgroup("mainspring")
    group.addoption(
        "--mainspring-stress", action="store_true", help="raise the counts of tests that ask mainspring_count"
    )
    group.addoption("--mainspring-loop", choices=("asyncio", "uvloop"), help="the loop that async tests run on")
    parser.addini("mainspring_loop", "the loop that async tests run on: asyncio (default) or uvloop", default="asyncio")
    parser.addini("mainspring_leaks_patience", "real seconds for leaks that are about to end", default="1.0")
    parser.addini("mainspring_leaks", "fail tests that leave something behind", type="bool", default=False)


def pytest_configure(config: pytest.Config) -> None:
    """Declare the marks."""
    config.addinivalue_line("markers", "virtual_clock(start): the first instant of the test's `virtual_clock`")
    config.addinivalue_line(
        "markers", f"allow_leaks(*kinds, reason): excuse leaks of these kinds, of {', '.join(LEAK_KINDS)}"
    )


def pytest_sessionstart(session: pytest.Session) -> None:
    """Start what every later child process, and every loop, needs, so that no test seems to leak it."""
    if session.config.getini("mainspring_leaks"):
        start_child_infrastructure()
        factory = _loop_factory(session.config) if _wanted_loop(session.config) == "uvloop" else None
        if factory is not None:
            factory().close()  # from its first loop on uvloop keeps a pipe for the process


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> Generator[None, Any, Any]:
    """Close the shared loop when the last fixture is gone."""
    result = yield
    shared = session.config.stash.get(_SHARED_LOOP, None)
    if shared is not None:
        del session.config.stash[_SHARED_LOOP]
        shared.close()
    return result


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None, Any, Any]:
    """Note what is held before the test and its fixtures."""
    if item.config.getini("mainspring_leaks"):
        item.config.stash[_BASELINE] = _holdings(item.config)
    return (yield)


@pytest.hookimpl(wrapper=True, trylast=True)  # after others, who may take fixtures that no mark shows to be theirs
def pytest_fixture_setup(
    fixturedef: pytest.FixtureDef[Any], request: pytest.FixtureRequest
) -> Generator[None, Any, Any]:
    """Run async fixtures; count what wide fixtures keep as held before the test."""
    before = _holdings(request.config) if _widens_baseline(fixturedef, request) else None
    function = fixturedef.func
    if _is_our_fixture(function, request):
        # `func` is Final for users of pytest; the other async plugins replace it in the same way.
        object.__setattr__(fixturedef, "func", functools.partial(_set_up, function, fixturedef, request))
    try:
        return (yield)
    finally:
        object.__setattr__(fixturedef, "func", function)
        if before is not None:
            stash = request.config.stash
            stash[_BASELINE] = stash[_BASELINE].with_growth(before, _holdings(request.config))


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Generator[None, Any, Any]:
    """Run a coroutine test to its end on its loop."""
    function: Any = pyfuncitem.obj
    hypothesis: Any = getattr(function, "hypothesis", None)
    if not _is_ours(pyfuncitem):
        return (yield)
    if hypothesis is not None and inspect.iscoroutinefunction(hypothesis.inner_test):
        inner = hypothesis.inner_test
        hypothesis.inner_test = _synchronous(inner, pyfuncitem)
        try:
            return (yield)
        finally:
            hypothesis.inner_test = inner
    if not inspect.iscoroutinefunction(function):
        return (yield)
    pyfuncitem.obj = _synchronous(function, pyfuncitem)
    try:
        return (yield)
    finally:
        pyfuncitem.obj = function


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Remember a failure: its traceback keeps things alive that the test would have let go."""
    report = yield
    item.stash[_FAILED] = item.stash.get(_FAILED, False) or report.failed
    return report


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None, Any, Any]:
    """Close the test's loop and look for what the test left behind."""
    leaks: list[str] = []
    try:
        result = yield
    finally:
        if item.config.getini("mainspring_leaks"):
            leaks = _pending_tasks(item)
        own = item.stash.get(_OWN_LOOP, None)
        if own is not None:
            del item.stash[_OWN_LOOP]
            own.close()
    if item.config.getini("mainspring_leaks") and not item.stash.get(_FAILED, False):
        excused = _excused(item)
        leaks = [*([] if "tasks" in excused else leaks), *_left_behind(item, excused)]
        if leaks:
            raise LeakError(test=item.name, leaks=leaks)
    return result


@pytest.fixture
def virtual_clock(request: pytest.FixtureRequest) -> VirtualClock:
    """The clock of this test: its loop runs in virtual time, and so does `current_clock()`."""
    clock = loop_of(request._pyfuncitem).clock
    if clock is None:
        raise pytest.UsageError("virtual_clock must be an argument of the test, or of a fixture that it names")
    return clock


@pytest.fixture(scope="session")
def valkey_server() -> Generator[ValkeyServer]:
    """A real Valkey server that the tests of this run share; each uses keys of its own."""
    with ValkeyServer() as server:
        yield server


@pytest.fixture(scope="session")
def mainspring_count(pytestconfig: pytest.Config) -> Callable[[int, int], int]:
    """A function of (normal, stress) that returns the second under `--mainspring-stress`."""
    stressed = bool(pytestconfig.getoption("--mainspring-stress"))
    return lambda normal, stress: stress if stressed else normal


def _is_ours(item: pytest.Function) -> bool:
    """Tell whether an async test is left to us by the other plugins."""
    marked = any(item.get_closest_marker(mark) for mark in _OTHERS_MARKS)
    return not marked and "anyio_backend" not in item.fixturenames


def _is_our_fixture(function: Any, request: pytest.FixtureRequest) -> bool:
    return _is_our_function(function) and "anyio_backend" not in request.fixturenames


def _is_our_function(function: Any) -> bool:
    """Tell whether a fixture function is async and not marked as another plugin's."""
    if not (inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function)):
        return False
    plain = getattr(function, "__func__", function)
    return not any(hasattr(plain, attribute) for attribute in _OTHERS_FIXTURES)


def _synchronous(function: Callable[..., Any], item: pytest.Function) -> Callable[..., None]:
    @functools.wraps(function)
    def run(*args: Any, **kwargs: Any) -> None:
        wrap = item.stash.get(TEST_WRAPPER, None)
        test = function if wrap is None else wrap(function)
        loop_of(item).run(test(*args, **kwargs))

    return run


def _set_up(
    function: Any, fixturedef: pytest.FixtureDef[Any], request: pytest.FixtureRequest, /, *args: Any, **kwargs: Any
) -> Any:
    """Make an async fixture's value on the loop where it lives."""
    item = request._pyfuncitem
    if inspect.iscoroutinefunction(item.obj) and not _is_ours(item):
        raise pytest.UsageError(
            f"{item.name} is another plugin's test by its mark, and would not run on the loop of the async fixture "
            f"{fixturedef.argname}, which is mainspring's: remove the mark, or make the fixture one of that plugin"
        )
    if request.instance is not None and inspect.ismethod(function):
        function = function.__func__.__get__(request.instance)
    loop = loop_of(item) if fixturedef.scope == "function" else _shared_loop(request.config)
    if inspect.iscoroutinefunction(function):
        return loop.run(function(*args, **kwargs))
    fixture = loop.start(function(*args, **kwargs))
    fixturedef.addfinalizer(lambda: loop.run(fixture.stop()))
    return fixture.value


def loop_of(item: pytest.Function) -> TestLoop:
    """Return the loop of a test: the shared one when it uses wide async fixtures, else one of its own."""
    wants_clock = "virtual_clock" in item.fixturenames
    if _uses_wide_async_fixtures(item):
        if wants_clock:
            raise pytest.UsageError(
                f"{item.name} asks for virtual_clock and for an async fixture wider than the test, which "
                "lives on a loop in real time"
            )
        return _shared_loop(item.config)
    own = item.stash.get(_OWN_LOOP, None)
    if own is None:
        own = TestLoop(factory=_loop_factory(item.config), clock=_new_clock(item) if wants_clock else None)
        item.stash[_OWN_LOOP] = own
    return own


def _new_clock(item: pytest.Function) -> VirtualClock:
    mark = item.get_closest_marker("virtual_clock")
    return VirtualClock(*mark.args, **mark.kwargs) if mark else VirtualClock(DEFAULT_START)


def _uses_wide_async_fixtures(item: pytest.Function) -> bool:
    definitions = item._fixtureinfo.name2fixturedefs
    return any(
        definition.scope != "function" and _is_our_function(definition.func)
        for name in item.fixturenames
        for definition in definitions.get(name, ())
    )


def _shared_loop(config: pytest.Config) -> TestLoop:
    shared = config.stash.get(_SHARED_LOOP, None)
    if shared is None:
        shared = config.stash[_SHARED_LOOP] = TestLoop(factory=_loop_factory(config))
    return shared


def _wanted_loop(config: pytest.Config) -> str:
    return str(config.getoption("--mainspring-loop") or config.getini("mainspring_loop"))


def _loop_factory(config: pytest.Config) -> LoopFactory | None:
    wanted = _wanted_loop(config)
    if wanted == "asyncio":
        return None
    if wanted != "uvloop":
        raise pytest.UsageError(f"mainspring_loop={wanted!r}: expected asyncio or uvloop")
    factory: LoopFactory = load_extra("uvloop", feature="mainspring_loop = uvloop", extra="uvloop").new_event_loop
    return factory


def _holdings(config: pytest.Config) -> Holdings:
    shared = config.stash.get(_SHARED_LOOP, None)
    return Holdings.take([] if shared is None else [shared.loop])


def _widens_baseline(fixturedef: pytest.FixtureDef[Any], request: pytest.FixtureRequest) -> bool:
    return fixturedef.scope != "function" and _BASELINE in request.config.stash


def _pending_tasks(item: pytest.Item) -> list[str]:
    """Return the tasks that the test left pending on its own loop and on the shared one, in words."""
    leaks: list[str] = []
    baseline = item.config.stash[_BASELINE]
    for loop in (item.stash.get(_OWN_LOOP, None), item.config.stash.get(_SHARED_LOOP, None)):
        if loop is not None and pending_tasks(loop.loop, baseline):
            loop.settle_tasks()
            leaks += pending_tasks(loop.loop, baseline)
    return leaks


def _left_behind(item: pytest.Item, excused: tuple[Any, ...]) -> list[str]:
    """Return the threads, descriptors and children that the test left, in words."""
    leaks = wait_for_leaks(
        item.config.stash[_BASELINE], ignore=excused, patience=float(item.config.getini("mainspring_leaks_patience"))
    )
    if _SHARED_LOOP in item.config.stash:
        # The shared loop keeps these until it is closed: its default executor's threads, its inbox's descriptor.
        leaks = [one for one in leaks if not one.startswith("threads: <Thread(asyncio_") and not _is_inbox(one)]
    return leaks


def _is_inbox(leak: str) -> bool:
    return leak.startswith("descriptors: ") and leak.endswith("anon_inode:[eventfd]")


def _excused(item: pytest.Item) -> tuple[Any, ...]:
    return tuple(kind for mark in item.iter_markers("allow_leaks") for kind in mark.args or LEAK_KINDS)
