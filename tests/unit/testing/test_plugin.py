"""The plugin runs async tests and fixtures, and fails tests that leave something behind."""

import os
import sys

import pytest

pytest_plugins = ["pytester"]

pytestmark = pytest.mark.timeout(300)  # a test starts an interpreter with all plugins, some several times

_FIXTURES = """
import asyncio
import contextvars
import pytest

events = []
colour = contextvars.ContextVar("colour", default="none")

@pytest.fixture
async def value():
    await asyncio.sleep(0)
    colour.set("red")
    return 3, asyncio.get_running_loop()

@pytest.fixture
async def generated(value):
    async with asyncio.timeout(30), asyncio.TaskGroup() as tasks:
        tasks.create_task(asyncio.sleep(0))
        yield value[0] + 1
    events.append("generated ended")

async def test_fixtures_share_the_loop_and_the_context_of_the_test(value, generated):
    assert (3, 4) == (value[0], generated)
    assert asyncio.get_running_loop() is value[1]
    assert "red" == colour.get()

def test_the_generator_was_ended():
    assert ["generated ended"] == events

async def test_each_test_has_a_fresh_loop_and_context(request):
    assert "none" == colour.get()

@pytest.fixture(scope="session")
async def shared():
    events.append("shared began")
    yield asyncio.get_running_loop()

@pytest.fixture(scope="module")
async def shared_too(shared):
    return asyncio.get_running_loop() is shared

@pytest.mark.parametrize("turn", [1, 2])
async def test_wide_fixtures_live_on_one_loop_with_their_tests(shared, shared_too, generated, turn):
    assert shared_too
    assert asyncio.get_running_loop() is shared
    assert 1 == events.count("shared began")

def test_a_plain_test_may_use_async_fixtures(value, shared):
    assert 3 == value[0]
    assert not shared.is_running()

class TestMethods:
    @pytest.fixture
    async def mine(self):
        self.seen = 1
        return self

    @pytest.fixture
    async def mine_generated(self, mine):
        yield mine

    async def test_fixtures_of_a_class_get_its_instance(self, mine, mine_generated):
        assert mine is self
        assert mine_generated is self
        assert 1 == self.seen

@pytest.fixture(params=["a", "b"])
async def letter(request):
    return request.param

async def test_parameters(letter):
    assert letter in "ab"
"""


@pytest.fixture
def house(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """A directory whose tests run with the plugin, and with little patience."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(path for path in sys.path if path))
    pytester.makepyprojecttoml(
        """
        [tool.pytest.ini_options]
        addopts = [
            "-p", "mainspring.testing.plugin", "-p", "no:randomly", "-p", "no:cacheprovider",
            "-p", "no:pytest_cov", "-p", "no:hypothesispytest", "-p", "no:asyncio", "-p", "no:anyio"
        ]
        filterwarnings = ["error"]
        mainspring_leaks = true
        mainspring_leaks_patience = "0.1"
        """
    )
    return pytester


def test_async_tests_and_fixtures_of_every_scope(house: pytest.Pytester) -> None:
    house.makepyfile(_FIXTURES)
    house.runpytest_inprocess().assert_outcomes(passed=9)


def test_failures_of_async_tests_and_fixtures_are_reported_where_they_happen(house: pytest.Pytester) -> None:
    house.makepyfile(
        """
        import asyncio, pytest

        @pytest.fixture
        async def no_yield():
            if False: yield

        @pytest.fixture
        async def two_yields():
            yield 1
            yield 2

        @pytest.fixture
        async def fails_while_it_waits():
            async with asyncio.TaskGroup() as tasks:
                async def fail():
                    raise OSError("in the background")
                tasks.create_task(fail())
                yield

        @pytest.fixture
        async def fails():
            raise ValueError("broken fixture")

        async def test_fails():
            assert 1 == 2
        async def test_no_yield(no_yield): pass
        async def test_two_yields(two_yields): pass
        async def test_fails_while_it_waits(fails_while_it_waits):
            await asyncio.sleep(0)
        async def test_broken_fixture(fails): pass
        """
    )
    result = house.runpytest_inprocess()
    result.assert_outcomes(failed=1, passed=2, errors=4)
    for line in ("*no_yield did not yield", "*two_yields yielded more than once", "*OSError: in the background"):
        result.stdout.fnmatch_lines([line])
    result.stdout.fnmatch_lines(["*ValueError: broken fixture"])


_LEAKS = """
import asyncio, os, subprocess, sys, threading
import pytest

@pytest.fixture(scope="session")
def undo():
    kept = []
    yield kept
    for each in kept:
        each()

def test_thread(undo):
    stop = threading.Event()
    thread = threading.Thread(target=stop.wait, name="forgotten thread")
    thread.start()
    undo.append(lambda: (stop.set(), thread.join()))

def test_descriptor(undo, tmp_path):
    fd = os.open(tmp_path / "forgotten file", os.O_CREAT)
    undo.append(lambda: os.close(fd))

def test_child(undo):
    child = subprocess.Popen([sys.executable, "-c", "input('forgotten child')"], stdin=subprocess.PIPE)
    undo.append(lambda: (child.communicate(b"x"), child.wait()))

async def test_task():
    asyncio.get_running_loop().create_task(asyncio.sleep(60), name="forgotten task")

@pytest.fixture(scope="session")
async def wide():
    task = asyncio.get_running_loop().create_task(asyncio.sleep(60))
    await asyncio.to_thread(int)
    yield
    task.cancel()

async def test_task_on_the_shared_loop(wide):
    asyncio.get_running_loop().create_task(asyncio.sleep(60), name="forgotten shared task")
"""


def test_each_kind_of_leak_fails_its_test_and_is_named(house: pytest.Pytester) -> None:
    house.makepyfile(_LEAKS)
    result = house.runpytest_inprocess()
    result.assert_outcomes(passed=5, errors=5)
    for kind, words in (
        ("threads", "*<Thread(forgotten thread, started *"),
        ("descriptors", "* -> */forgotten file"),
        ("children", "*process * (*forgotten child*"),
        ("tasks", "*forgotten task*"),
        ("tasks", "*forgotten shared task*"),
    ):
        result.stdout.fnmatch_lines([f"*{kind}: {words}"])


def test_what_wide_fixtures_keep_or_ends_soon_or_is_excused_is_no_leak(house: pytest.Pytester) -> None:
    house.makepyfile(
        """
        import asyncio, os, threading, gc, socket
        import pytest

        @pytest.fixture(scope="module")
        def reader():
            descriptor = os.open("/dev/null", os.O_RDONLY)
            yield descriptor
            os.close(descriptor)

        def test_wide(reader): pass

        @pytest.fixture(scope="session")
        async def wide():
            tasks = [asyncio.get_running_loop().create_task(asyncio.sleep(60))]
            await asyncio.to_thread(int)
            yield
            tasks[0].cancel()

        async def test_wide_async(wide):
            await asyncio.gather(*(asyncio.to_thread(threading.Event().wait, 0.01) for _ in range(3)))

        def test_a_thread_about_to_end():
            threading.Timer(0.02, int).start()

        async def test_a_task_about_to_end():
            asyncio.get_running_loop().create_task(asyncio.sleep(0))

        def test_a_cycle_that_the_collector_closes():
            class Holder: pass
            holder = Holder()
            holder.me, holder.pair = holder, [os.pipe()]
            class Closer:
                def __del__(self, ends=holder.pair[0]):
                    for end in ends: os.close(end)
            holder.closer = Closer()

        ENDS = []

        @pytest.mark.allow_leaks("descriptors", reason="shown here")
        def test_excused():
            ENDS.append(os.open("/dev/null", os.O_RDONLY))

        @pytest.mark.allow_leaks(reason="all kinds")
        async def test_all_excused():
            asyncio.get_running_loop().create_task(asyncio.sleep(60))

        def test_a_failed_test_is_not_blamed_twice():
            ENDS.append(os.open("/dev/null", os.O_RDONLY))
            assert False

        def test_the_ends_are_closed():
            for end in ENDS: os.close(end)
        """
    )
    house.runpytest_inprocess().assert_outcomes(passed=8, failed=1)


def test_what_a_pool_needs_of_the_shared_loop_is_no_leak(house: pytest.Pytester) -> None:
    house.makepyfile(
        """
        import pytest
        from mainspring.concurrency import ThreadPoolExecutor

        @pytest.fixture(scope="session")
        async def wide(): pass

        async def test_a_pool(wide):
            with ThreadPoolExecutor(1) as pool:
                assert 7 == await pool.run(abs, -7)
        """
    )
    house.runpytest_inprocess().assert_outcomes(passed=1)


def test_leaks_are_not_looked_for_unless_asked(house: pytest.Pytester) -> None:
    house.makepyfile("import os\ndef test_leaks():\n    global fd\n    fd = os.dup(1)\ndef test_end(): os.close(fd)")
    house.runpytest_inprocess("-o", "mainspring_leaks=false").assert_outcomes(passed=2)


def test_the_virtual_clock_is_refused_where_it_cannot_be(house: pytest.Pytester) -> None:
    house.makepyfile(
        """
        import pytest

        @pytest.fixture(scope="session")
        async def wide(): pass

        async def test_with_a_wide_fixture(virtual_clock, wide): pass

        def test_late(request):
            request.getfixturevalue("virtual_clock")

        def test_sync(virtual_clock):
            assert 0.0 == virtual_clock.monotonic()
        """
    )
    result = house.runpytest_inprocess()
    result.assert_outcomes(passed=1, failed=1, errors=1)
    result.stdout.fnmatch_lines(["*virtual_clock must be an argument of the test*"])
    result.stdout.fnmatch_lines(["*lives on a loop in real time*"])


def test_counts_follow_the_option(house: pytest.Pytester) -> None:
    house.makepyfile("def test_count(mainspring_count):\n    assert 7 == mainspring_count(7, 1000)")
    house.runpytest_inprocess().assert_outcomes(passed=1)
    house.runpytest_inprocess("--mainspring-stress").assert_outcomes(failed=1)


def test_the_loop_may_be_chosen(house: pytest.Pytester) -> None:
    house.makepyfile("import asyncio\nasync def test_it():\n    print(type(asyncio.get_running_loop()).__module__)")
    house.runpytest_inprocess("-s", "--mainspring-loop=asyncio").stdout.fnmatch_lines(["*asyncio.unix_events*"])
    house.runpytest_inprocess("-o", "mainspring_loop=trio").stdout.fnmatch_lines(["*expected asyncio or uvloop*"])


@pytest.mark.extras
def test_uvloop_may_be_chosen(house: pytest.Pytester) -> None:
    pytest.importorskip("uvloop")
    house.makepyfile("import asyncio\nasync def test_it():\n    print(type(asyncio.get_running_loop()).__module__)")
    result = house.runpytest_subprocess("-s", "--mainspring-loop=uvloop")
    result.stdout.fnmatch_lines(["*uvloop*"])
    result.assert_outcomes(passed=1)


def test_hypothesis_runs_async_tests(house: pytest.Pytester) -> None:
    house.makepyfile(
        """
        import asyncio
        from hypothesis import given, settings, strategies as st

        loops = set()

        @settings(max_examples=5, database=None)
        @given(number=st.integers())
        async def test_given(number):
            await asyncio.sleep(0)
            loops.add(asyncio.get_running_loop())

        def test_one_loop_for_all_examples():
            assert 1 == len(loops)
        """
    )
    house.runpytest_inprocess().assert_outcomes(passed=2)


def test_tests_and_fixtures_of_other_plugins_are_left_alone(house: pytest.Pytester) -> None:
    house.makeconftest(
        """
        import asyncio, inspect, pytest

        @pytest.hookimpl(wrapper=True)
        def pytest_pyfunc_call(pyfuncitem):
            # What the other plugins do, for the tests that carry their marks.
            if pyfuncitem.get_closest_marker("asyncio") or "anyio_backend" in pyfuncitem.fixturenames:
                assert inspect.iscoroutinefunction(pyfuncitem.obj)
                pyfuncitem.obj = lambda **arguments: None
            return (yield)

        @pytest.hookimpl(wrapper=True)
        def pytest_fixture_setup(fixturedef, request):
            if fixturedef.argname in ("theirs", "anyios"):
                assert inspect.iscoroutinefunction(fixturedef.func)
                fixturedef.func = lambda **arguments: "set up by them"
            return (yield)

        def pytest_configure(config):
            config.addinivalue_line("markers", "asyncio: theirs")
        """
    )
    house.makepyfile(
        """
        import pytest

        async def theirs(): pass
        theirs._force_asyncio_fixture = True
        theirs = pytest.fixture(theirs)

        @pytest.fixture
        async def anyios(anyio_backend): pass

        @pytest.fixture
        def anyio_backend(): return "asyncio"

        @pytest.mark.asyncio
        async def test_theirs(theirs): pass

        async def test_anyios(anyios): pass
        """
    )
    house.runpytest_inprocess("-p", "no:anyio", "-p", "no:asyncio").assert_outcomes(passed=2)


_THEIRS = """
import asyncio, pytest, pytest_asyncio
from mainspring.runtime import Service

class Started(Service):
    async def start(self): pass

@pytest.fixture
def services(): return [Started()]

@pytest_asyncio.fixture
async def theirs():
    yield asyncio.get_running_loop()

@pytest.mark.asyncio
async def test_marked(theirs):
    assert theirs is asyncio.get_running_loop()

@pytest.mark.anyio
async def test_anyio(anyio_backend_name):
    assert "asyncio" == anyio_backend_name

@pytest.fixture
def anyio_backend(): return "asyncio"

def test_plain(): pass
"""

_OURS = """
import asyncio, pytest
from mainspring.runtime import Service

class Started(Service):
    async def start(self): pass

@pytest.fixture
def services(): return [Started()]

@pytest.fixture
async def value():
    yield asyncio.get_running_loop()

async def test_unmarked(value, entrypoint):
    assert value is asyncio.get_running_loop() is entrypoint.loop
    assert entrypoint.services[0].ready

async def test_virtual(virtual_clock):
    await asyncio.sleep(3600)
"""


@pytest.mark.parametrize("mode", ["strict", "auto"])
def test_the_real_other_plugins_run_what_is_theirs(
    mode: str, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With pytest-asyncio and anyio installed and loaded beside ours."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(path for path in sys.path if path))
    pytester.makepyprojecttoml(
        f"""
        [tool.pytest.ini_options]
        addopts = ["-p", "mainspring.testing.plugin", "-p", "no:randomly", "-p", "no:cacheprovider"]
        asyncio_mode = "{mode}"
        asyncio_default_fixture_loop_scope = "function"
        filterwarnings = ["error"]
        """
    )
    pytester.makepyfile(_THEIRS)
    if mode == "strict":  # in the mode auto every async test is theirs
        pytester.makepyfile(test_ours=_OURS)
    result = pytester.runpytest_subprocess()
    for plugin in ("asyncio-", "anyio-"):
        result.stdout.fnmatch_lines([f"plugins: *{plugin}*"])
    result.assert_outcomes(passed=5 if mode == "strict" else 3)


_ACROSS = """
import asyncio, pytest

@pytest.mark.asyncio
async def test_with_a_program(entrypoint):
    assert entrypoint.loop is asyncio.get_running_loop()

@pytest.fixture
async def own():
    yield asyncio.get_running_loop()

@pytest.mark.asyncio
async def test_with_a_fixture(own):
    assert own is asyncio.get_running_loop()

@pytest.mark.anyio
async def test_of_anyio(own, entrypoint):
    assert own is entrypoint.loop is asyncio.get_running_loop()

@pytest.fixture
def anyio_backend(): return "asyncio"

@pytest.mark.asyncio
async def test_without(localhost, unused_port): pass
"""


@pytest.mark.parametrize(("mode", "loaded"), [("strict", "first"), ("auto", "last")])
def test_a_test_never_runs_beside_the_loop_of_its_async_fixtures(
    mode: str, loaded: str, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On the loop of pytest-asyncio or anyio where these take the fixtures; else it is refused, and says why."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(path for path in sys.path if path))
    options = ["-p", "no:randomly", "-p", "no:cacheprovider", "-o", f"asyncio_mode={mode}"]
    if loaded == "first":
        options += ["-p", "mainspring.testing.plugin"]
    else:
        pytester.makeconftest('pytest_plugins = ("mainspring.testing.plugin",)')
    across = _ACROSS if mode == "strict" else _ACROSS.replace("async def test_of_anyio", "async def of_anyio")
    pytester.makepyfile(across)
    result = pytester.runpytest_subprocess(*options)
    if mode == "auto":
        result.assert_outcomes(passed=3)
        return
    result.assert_outcomes(passed=2, errors=2)
    for name in ("entrypoint", "own"):
        result.stdout.fnmatch_lines([f"*another plugin's test*async fixture {name}, which is mainspring's*"])


def test_a_program_is_started_for_those_who_ask(house: pytest.Pytester) -> None:
    house.makepyfile(
        """
        import asyncio, pytest
        from mainspring.errors import NoEntrypointError
        from mainspring.runtime import Entrypoint, Service, get_context

        log = []

        class Noted(Service):
            async def start(self):
                log.append(f"starts with {await self.context['colour']}")
            async def stop(self, exception=None):
                log.append("stops")

        @pytest.fixture
        def services():
            return [Noted()]

        @pytest.fixture
        def default_context():
            return {"colour": "red"}

        async def test_without():
            with pytest.raises(NoEntrypointError):
                Entrypoint.get_current()

        def test_nothing_was_started():
            assert [] == log

        async def test_with(entrypoint):
            assert ["starts with red"] == log
            assert entrypoint is Entrypoint.get_current()
            assert entrypoint.ctx is get_context()
            await entrypoint.start_services(Noted())

        def test_everything_was_stopped():
            assert 2 == log.count("stops")

        async def test_in_virtual_time(virtual_clock, entrypoint):
            await asyncio.sleep(3600)
            assert virtual_clock.loop is entrypoint.loop

        async def test_a_proxy(tcp_proxy, localhost, unused_port):
            async def answer(reader, writer):
                writer.write(await reader.read(10))
                writer.close()
            server = await asyncio.start_server(answer, localhost, unused_port)
            async with server, tcp_proxy(localhost, unused_port) as proxy:
                reader, writer = await proxy.create_client()
                writer.write(b"hello")
                assert b"hello" == await reader.read()
                writer.close()
        """
    )
    house.runpytest_inprocess().assert_outcomes(passed=6)
