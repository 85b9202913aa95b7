"""The fixtures, options and marks of aiomisc's pytest plugin."""

import os
import sys

import pytest

pytest_plugins = ["pytester"]


@pytest.fixture
def house(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """A directory whose tests run with the plugin."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(path for path in sys.path if path))
    monkeypatch.delenv("AIOMISC_LOOP_AUTOUSE", raising=False)
    pytester.makepyprojecttoml(
        """
        [tool.pytest.ini_options]
        addopts = [
            "-p", "mainspring.compat.aiomisc_pytest", "-p", "no:randomly", "-p", "no:cacheprovider",
            "-p", "no:asyncio", "-p", "no:anyio"
        ]
        filterwarnings = ["error"]
        """
    )
    return pytester


_TESTS = """
import asyncio, threading
import pytest
from mainspring.compat import aiomisc
from mainspring.compat.aiomisc_pytest import PortSocket, TCPProxy

log = []

class Noted(aiomisc.Service):
    async def start(self):
        log.append(await self.context["colour"])

@pytest.fixture
def services(aiomisc_unused_port):
    return [Noted()]

@pytest.fixture
def default_context():
    return {"colour": "red"}

def test_a_plain_test_starts_nothing():
    assert [] == log
    assert 1 == threading.active_count()

async def test_an_async_test_has_its_services(loop, event_loop):
    assert ["red"] == log
    assert loop is event_loop is asyncio.get_running_loop()
    assert 1 == len(aiomisc.entrypoint.get_current().services)
    assert 7 == await loop.run_in_executor(None, lambda: 7)

def test_the_loop_of_a_plain_test(event_loop, entrypoint):
    assert 3 == event_loop.run_until_complete(asyncio.sleep(0, 3))
    assert 2 == len(log)

@pytest.fixture(scope="module")
async def wide():
    return asyncio.get_running_loop()

@pytest.mark.parametrize("turn", [1, 2])
async def test_a_shared_loop_gets_one_pool(wide, event_loop, turn):
    assert wide is event_loop
    await event_loop.run_in_executor(None, int)

def test_sockets(aiomisc_socket_factory, localhost):
    made = aiomisc_socket_factory()
    assert isinstance(made, PortSocket)
    assert (localhost, made.port) == made.socket.getsockname()

def test_ports(aiomisc_unused_port_factory, aiomisc_unused_port, tcp_proxy):
    assert 2 == len({aiomisc_unused_port_factory(), aiomisc_unused_port})
    assert tcp_proxy is TCPProxy

def test_the_policy_makes_loops(event_loop_policy):
    event_loop_policy.new_event_loop().close()

def test_options(loop_debug, thread_pool_size, aiomisc_test_timeout, entrypoint_kwargs):
    assert (False, 4, None) == (loop_debug, thread_pool_size, aiomisc_test_timeout)
    assert entrypoint_kwargs["log_config"] is False
"""


def test_fixtures(house: pytest.Pytester) -> None:
    house.makepyfile(_TESTS)
    house.runpytest_subprocess().assert_outcomes(passed=9)


def test_options(house: pytest.Pytester) -> None:
    house.makepyfile(
        """
        import asyncio

        async def test_takes_too_long(event_loop, thread_pool_size):
            assert event_loop.get_debug()
            assert 2 == thread_pool_size
            await asyncio.sleep(3600)
        """
    )
    result = house.runpytest_inprocess("--aiomisc-debug", "--aiomisc-pool-size=2", "--aiomisc-test-timeout=0.05")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*test_takes_too_long() did not end within 0.05 s*"])


def test_marks(house: pytest.Pytester) -> None:
    house.makepyfile(
        """
        import asyncio, pytest

        @pytest.mark.forbid_get_event_loop
        async def test_forbidden():
            asyncio.get_event_loop()

        @pytest.mark.forbid_get_event_loop
        async def test_not_used():
            asyncio.get_running_loop()

        @pytest.mark.catch_loop_exceptions
        async def test_caught():
            asyncio.get_running_loop().call_exception_handler({"message": "oops"})

        async def test_not_caught():
            asyncio.get_event_loop().call_exception_handler({"message": "only logged"})
        """
    )
    result = house.runpytest_inprocess()
    result.assert_outcomes(failed=2, passed=2)
    result.stdout.fnmatch_lines(["*which the mark forbid_get_event_loop forbids*"])
    result.stdout.fnmatch_lines(["*the loop has reported: *oops*"])


def test_a_wrapper_is_put_around_async_tests(house: pytest.Pytester) -> None:
    house.makepyfile(
        """
        import pytest

        @pytest.fixture
        def aiomisc_func_wrap():
            def wrap(test):
                async def wrapped(*args, **kwargs):
                    await test(*args, **kwargs)
                    raise OSError("from the wrapper")
                return wrapped
            return wrap

        async def test_wrapped(): pass

        def test_plain(): pass
        """
    )
    result = house.runpytest_inprocess()
    result.assert_outcomes(failed=1, passed=1)
    result.stdout.fnmatch_lines(["*from the wrapper*"])


def test_async_tests_may_be_left_alone(house: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIOMISC_LOOP_AUTOUSE", "0")
    house.makepyfile(
        """
        import pytest
        from mainspring.compat import aiomisc

        async def test_alone():
            with pytest.raises(RuntimeError, match="no current entrypoint"):
                aiomisc.entrypoint.get_current()

        async def test_asked(loop):
            assert loop is aiomisc.entrypoint.get_current().loop
        """
    )
    house.runpytest_inprocess().assert_outcomes(passed=2)
