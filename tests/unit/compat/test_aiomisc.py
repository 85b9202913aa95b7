"""The names of aiomisc that are about running a program, and what is adapted in them."""

import asyncio
import contextvars
import importlib
import logging
from collections.abc import Iterator
from io import StringIO
from typing import Any

import pytest

from mainspring import runtime
from mainspring.compat import aiomisc, aiomisc_log
from mainspring.compat.aiomisc import compat, utils
from mainspring.compat.aiomisc.context_vars import CURRENT_ENTRYPOINT, EVENT_LOOP, StrictContextVar
from mainspring.concurrency import ThreadPoolExecutor
from mainspring.errors import MisuseError

NAMES = {
    "aiomisc": "Context Entrypoint Service Signal Statistic basic_config bind_socket entrypoint get_context"
    " get_statistics log new_event_loop plugins receiver run service version CURRENT_ENTRYPOINT"
    " version_info __version__",
    "aiomisc.compat": "EVENT_LOOP EventLoopMixin LoopFactoryType default_loop_factory event_loop_policy"
    " get_current_loop set_current_loop sock_set_nodelay sock_set_reuseport",
    "aiomisc.context": "Context ContextStatistic get_context",
    "aiomisc.context_vars": "CURRENT_ENTRYPOINT EVENT_LOOP StrictContextVar",
    "aiomisc.counters": "Statistic StatisticResult get_statistics",
    "aiomisc.entrypoint": "Entrypoint entrypoint get_context run",
    "aiomisc.log": "LogFormat LogLevel ThreadedHandler ThreadedHandlerStatistic basic_config wrap_logging_handler",
    "aiomisc.plugins": "plugins setup_plugins",
    "aiomisc.service": "MemoryTracer ProcessService Profiler RespawningProcessService RobustTCPClient RobustTLSClient"
    " Service ServiceMeta SimpleServer TCPClient TCPServer TLSClient TLSServer UDPServer",
    "aiomisc.service.base": "Service ServiceMeta SimpleClient SimpleServer TaskStoreBase",
    "aiomisc.service.carbon": "CarbonSender strip_carbon_ns",
    "aiomisc.service.cron": "CronService",
    "aiomisc.service.dns": "DNSRecord DNSStore DNSZone RecordType TCPDNSServer UDPDNSServer records",
    "aiomisc.service.periodic": "PeriodicService",
    "aiomisc.service.process": "ProcessService RespawningProcessService",
    "aiomisc.service.profiler": "Profiler",
    "aiomisc.service.raven": "RavenSender",
    "aiomisc.service.sdwatchdog": "SDWatchdogService",
    "aiomisc.service.tcp": "RobustTCPClient TCPClient TCPServer",
    "aiomisc.service.tls": "RobustTLSClient SSLOptions TLSClient TLSServer get_ssl_context",
    "aiomisc.service.tracer": "GroupBy MemoryTracer",
    "aiomisc.service.udp": "UDPServer",
    "aiomisc.service.aiohttp": "AIOHTTPSSLService AIOHTTPService",
    "aiomisc.service.asgi": "ASGIApplicationType ASGIHTTPSSLService ASGIHTTPService ASGIReceiveType ASGIScopeType"
    " ASGISendType",
    "aiomisc.service.grpc_server": "GRPCService",
    "aiomisc.service.uvicorn": "UvicornApplication UvicornService",
    "aiomisc.signal": "Signal receiver",
    "aiomisc.utils": "bind_socket create_default_event_loop new_event_loop",
    "aiomisc.version": "__version__ version_info",
    "aiomisc_log": "LOG_FORMAT LOG_LEVEL LogFormat LogLevel basic_config create_logging_handler",
    "aiomisc_log.enum": "DateFormat LogFormat LogLevel",
    "aiomisc_log.formatter": "color_formatter journald_formatter json_handler rich_formatter",
    "aiomisc_log.formatter.color": "color_formatter",
    "aiomisc_log.formatter.journald": "journald_formatter",
    "aiomisc_log.formatter.json": "JSONLogFormatter json_handler",
    "aiomisc_log.formatter.rich": "rich_formatter",
}


@pytest.fixture(autouse=True)
def _restored(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Use loops of asyncio (the first one of libuv leaves a pipe open); log nowhere afterwards."""
    monkeypatch.setenv("AIOMISC_USE_UVLOOP", "0")
    yield
    runtime.basic_config(log_format="disabled", buffered=False)


@pytest.mark.parametrize("module", NAMES)
def test_names_are_where_they_were(module: str) -> None:
    found = importlib.import_module(f"mainspring.compat.{module}")
    assert [] == [name for name in NAMES[module].split() if getattr(found, name) is None]
    with pytest.raises(AttributeError, match="no_such_name"):
        getattr(found, "no_such_name")  # noqa: B009


@pytest.mark.parametrize("module", ["aiomisc.plugins.__main__", "__main__"])
def test_commands_do_nothing_when_they_are_imported(module: str, capsys: pytest.CaptureFixture[str]) -> None:
    importlib.import_module(f"mainspring.compat.{module}")
    assert ("", "") == capsys.readouterr()


def test_the_plugins_are_a_mapping_that_is_read_when_it_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    def setup() -> None: ...

    asked: list[object] = []

    def found(groups: object) -> dict[str, object]:
        asked.append(groups)
        return {"mine": setup}

    module = importlib.import_module("mainspring.compat.aiomisc.plugins._plugins")
    monkeypatch.setattr(module, "plugin_setups", found)
    monkeypatch.setattr(aiomisc.plugins, "_found", None)
    assert aiomisc.plugins is importlib.import_module("mainspring.compat.aiomisc.plugins").plugins
    assert ("<plugins None>", []) == (repr(aiomisc.plugins), asked)
    assert {"mine": setup} == dict(aiomisc.plugins)
    assert ("mine" in aiomisc.plugins, len(aiomisc.plugins)) == (True, 1)
    assert "mine" in repr(aiomisc.plugins)
    assert [("aiomisc", "aiomisc.plugins", "mainspring.plugins")] == asked


@pytest.mark.extras
def test_the_journal_needs_its_socket(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("logging_journald")
    monkeypatch.setattr("mainspring.runtime._log_system.JOURNAL_SOCKET", "/nowhere")
    with pytest.raises(FileNotFoundError, match="no socket"):
        importlib.import_module("mainspring.compat.aiomisc_log.formatter").journald_formatter()


def test_objects_keep_their_names_when_the_modules_of_the_same_name_are_imported() -> None:
    for name in ("entrypoint", "utils", "log"):
        importlib.import_module(f"mainspring.compat.aiomisc.{name}")
    assert aiomisc.entrypoint is aiomisc.Entrypoint


def test_older_variables_win_over_ours_and_arguments_over_both(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIOMISC_SHUTDOWN_TIMEOUT", "7")
    monkeypatch.setenv("MAINSPRING_SHUTDOWN_TIMEOUT", "8")
    monkeypatch.setenv("AIOMISC_LOG_CONFIG", "0")
    assert 7.0 == aiomisc.entrypoint().exit.timeout
    assert 9.0 == aiomisc.entrypoint(shutdown_timeout=9).exit.timeout
    assert 8.0 == runtime.entrypoint(log_config=False).exit.timeout
    monkeypatch.delenv("AIOMISC_SHUTDOWN_TIMEOUT")
    assert 8.0 == aiomisc.entrypoint().exit.timeout


@pytest.mark.parametrize("name", ["AIOMISC_LOG_BUFFER", "AIOMISC_LOG_BUFFER_SIZE"])
def test_the_size_of_the_log_buffer_has_two_names(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "0")
    with pytest.raises(ValueError, match="buffer_size=0"), aiomisc.entrypoint(log_format="plain"):
        raise NotImplementedError


@pytest.mark.parametrize(
    ("variable", "text", "value"),
    [
        ("AIOMISC_LOG_LEVEL", "error", "error"),
        ("AIOMISC_LOG_FORMAT", "json", "json"),
        ("AIOMISC_LOG_DATE_FORMAT", "%H", "%H"),
        ("AIOMISC_LOG_FLUSH", "7.5", 7.5),
        ("AIOMISC_LOG_BUFFERING", "no", False),
        ("AIOMISC_POOL_SIZE", "3", 3),
        ("AIOMISC_DEBUG", "yes", True),
        ("AIOMISC_NO_PLUGINS", "1", False),
    ],
)
def test_each_variable_changes_what_a_program_does(
    variable: str, text: str, value: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = what_a_program_does(monkeypatch)
    monkeypatch.setenv(variable, text)
    after = what_a_program_does(monkeypatch)
    assert {**before, variable: value} == after
    assert before[variable] != value


def what_a_program_does(monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
    """Run a program and return, by the variable that decides it, what it did."""
    logged: list[dict[str, object]] = []
    pools: list[int | None] = []
    searched: list[object] = []

    def configured(level: object, log_format: object, **rest: object) -> None:
        logged.append({"log_level": level, "log_format": log_format, **rest})

    def found(names: object, *, groups: object) -> None:
        searched.append(groups)

    class Pool(ThreadPoolExecutor):
        def __init__(self, max_workers: int | None = None, **rest: Any) -> None:
            super().__init__(max_workers, **rest)
            pools.append(max_workers)

    with monkeypatch.context() as patch:
        patch.setattr("mainspring.runtime._log_program.basic_config", configured)
        patch.setattr("mainspring.runtime._loops.ThreadPoolExecutor", Pool)
        patch.setattr("mainspring.runtime._entrypoint.load_plugins", found)
        with aiomisc.entrypoint() as loop:
            running = logged[-1]  # what was configured at the start; at the making nothing is buffered
            debug = loop.get_debug()
    return {
        "AIOMISC_LOG_LEVEL": running["log_level"],
        "AIOMISC_LOG_FORMAT": running["log_format"],
        "AIOMISC_LOG_DATE_FORMAT": running["date_format"],
        "AIOMISC_LOG_FLUSH": running["flush_interval"],
        "AIOMISC_LOG_BUFFERING": running["buffered"],
        "AIOMISC_POOL_SIZE": pools[0],
        "AIOMISC_DEBUG": debug,
        "AIOMISC_NO_PLUGINS": bool(searched),
    }


def test_both_entrypoints_share_the_signals_and_the_current_program() -> None:
    async def main() -> Any:
        current = aiomisc.entrypoint.get_current()
        assert current is runtime.entrypoint.get_current()
        return current

    assert aiomisc.entrypoint.PRE_START is runtime.entrypoint.PRE_START
    assert isinstance(aiomisc.run(main(), log_config=False), aiomisc.Entrypoint)


def test_basic_config_takes_the_older_arguments_in_their_order() -> None:
    stream = StringIO()
    aiomisc.basic_config("info", "disabled", True, 0, 0.0, None, [logging.StreamHandler(stream)])
    logging.info("hello")
    aiomisc.basic_config(log_format="disabled", buffered=False)
    assert "hello\n" == stream.getvalue()


@pytest.mark.parametrize("started", [True, False])
def test_a_threaded_handler_writes_whether_it_was_started_or_not(started: bool) -> None:
    stream = StringIO()
    handler = aiomisc.log.ThreadedHandler(logging.StreamHandler(stream), flush_interval=0.0, buffered=False)
    if started:
        handler.start()
        handler.start()
    handler.handle(logging.LogRecord("app", logging.INFO, "", 0, "hello", (), None))
    assert handler.stop(30)
    assert "hello\n" == stream.getvalue()


def test_the_logging_of_aiomisc_log_wraps_each_handler() -> None:
    stream, wrapped = StringIO(), list[logging.Handler]()

    def wrapper(handler: logging.Handler) -> logging.Handler:
        wrapped.append(handler)
        return handler

    own = logging.StreamHandler(StringIO())
    aiomisc_log.basic_config("warning", "plain", wrapper, [own], stream=stream)
    logging.info("no")
    logging.warning("yes")
    assert "yes\n" == stream.getvalue() == own.stream.getvalue()
    assert 2 == len(wrapped)
    assert (30, runtime.LogFormat.plain) == (aiomisc_log.LOG_LEVEL.get(), aiomisc_log.LOG_FORMAT.get())
    assert aiomisc_log.create_logging_handler("disabled") is None


def test_the_handler_of_each_format_is_made() -> None:
    formatter: Any = importlib.import_module("mainspring.compat.aiomisc_log.formatter")
    stream = StringIO()
    record = logging.LogRecord("app", logging.INFO, "", 0, "hello", (), None)
    formatter.color_formatter(stream, "DATE").handle(record)
    formatter.json_handler(stream).handle(record)
    color, json = stream.getvalue().splitlines()
    assert color.startswith("DATE [T:MainThread]")
    assert '"msg":"hello"' in json.replace(" ", "")


@pytest.mark.extras
def test_rich_writes_to_the_stream() -> None:
    pytest.importorskip("rich")
    formatter: Any = importlib.import_module("mainspring.compat.aiomisc_log.formatter")
    stream = StringIO()
    record = logging.LogRecord("app", logging.INFO, "", 0, "hello", (), None)
    for long in (False, True):
        formatter.rich_formatter(stream=stream, rich_tracebacks=long).handle(record)
    assert 2 == stream.getvalue().count("hello")


def test_loops_are_made_with_their_pool_and_set() -> None:
    loop, pool = utils.create_default_event_loop(pool_size=1)
    assert 7 == loop.run_until_complete(loop.run_in_executor(None, lambda: 7))
    pool.shutdown()
    loop.close()
    loop = aiomisc.new_event_loop(1, getattr(compat, "event_loop_policy"))  # noqa: B009
    assert loop is asyncio.get_event_loop()
    loop.run_until_complete(loop.shutdown_default_executor())
    loop.close()
    asyncio.set_event_loop(None)


async def test_a_loop_inside_of_a_loop_is_refused() -> None:
    with pytest.raises(MisuseError, match="while one runs here"):
        utils.create_default_event_loop()


def test_the_policy_and_the_factory_make_the_same_loops() -> None:
    policy = getattr(compat, "event_loop_policy")  # noqa: B009
    assert policy is getattr(compat, "event_loop_policy")  # noqa: B009
    for loop in (policy.new_event_loop(), compat.default_loop_factory()):
        assert isinstance(loop, asyncio.SelectorEventLoop)
        loop.close()


def test_the_current_loop_is_the_running_one_or_the_one_that_was_set() -> None:
    with pytest.raises(RuntimeError, match="no current event loop is set"):
        contextvars.Context().run(compat.get_current_loop)
    loop = asyncio.new_event_loop()
    token = EVENT_LOOP.set(loop)
    assert loop is compat.get_current_loop()
    EVENT_LOOP.reset(token)
    compat.set_current_loop(loop)
    assert loop is EVENT_LOOP.get()

    async def running() -> bool:
        mixin = compat.EventLoopMixin()
        assert mixin.loop is mixin.loop
        return compat.get_current_loop() is asyncio.get_running_loop() is mixin.loop

    assert loop.run_until_complete(running())
    loop.close()


def test_a_program_sets_its_loop_and_itself_and_puts_back_what_was_there() -> None:
    seen: list[object] = []

    class Looking(aiomisc.Service):
        async def start(self) -> None:
            seen.extend((EVENT_LOOP.get(), CURRENT_ENTRYPOINT.get()))

    async def main() -> tuple[object, object]:
        return EVENT_LOOP.get(), CURRENT_ENTRYPOINT.get()

    def programs() -> None:
        program = aiomisc.entrypoint(Looking(), log_config=False)
        with program as loop:
            assert (loop, program) == loop.run_until_complete(main()) == (EVENT_LOOP.get(), CURRENT_ENTRYPOINT.get())
            assert [loop, program] == seen
        for variable, said in ((EVENT_LOOP, "event loop"), (CURRENT_ENTRYPOINT, "entrypoint")):
            with pytest.raises(RuntimeError, match=f"no current {said} is set"):
                variable.get()
        loop = aiomisc.new_event_loop(1)
        assert loop is EVENT_LOOP.get()
        with aiomisc.entrypoint(log_config=False):
            assert loop is not EVENT_LOOP.get()
        assert loop is EVENT_LOOP.get()
        loop.run_until_complete(loop.shutdown_default_executor())
        loop.close()

    contextvars.Context().run(programs)


@pytest.mark.filterwarnings("ignore:There is no current event loop:DeprecationWarning")
@pytest.mark.parametrize("before", ["nothing", "none", "a closed loop"])
def test_a_current_loop_is_made_after_a_program_was_left(before: str) -> None:
    if before != "nothing":
        asyncio.set_event_loop(None)
    if before == "a closed loop":
        closed = asyncio.new_event_loop()
        closed.close()
        asyncio.set_event_loop(closed)
    for _ in range(2):
        with aiomisc.entrypoint(log_config=False) as loop:
            assert loop is asyncio.get_event_loop()
    made = asyncio.get_event_loop()
    try:
        assert made is asyncio.get_event_loop()
        assert 7 == made.run_until_complete(asyncio.sleep(0, 7))
    finally:
        made.close()
        asyncio.set_event_loop(None)


def test_the_current_loop_is_the_outer_one_after_a_program_was_left() -> None:
    outer = aiomisc.new_event_loop(1)
    try:
        with aiomisc.entrypoint(log_config=False) as loop:
            assert loop is asyncio.get_event_loop()
        assert outer is asyncio.get_event_loop()
        with pytest.raises(ZeroDivisionError), aiomisc.entrypoint(log_config=False):
            raise ZeroDivisionError
        assert outer is asyncio.get_event_loop()
    finally:
        outer.run_until_complete(outer.shutdown_default_executor())
        outer.close()
        asyncio.set_event_loop(None)


def test_a_policy_of_another_make_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asyncio, "get_event_loop_policy", object)
    with aiomisc.entrypoint(log_config=False):
        pass
    monkeypatch.undo()
    with pytest.raises(RuntimeError, match="no current event loop"):
        asyncio.get_event_loop()


def test_the_variables_of_logging_are_those_of_the_program() -> None:
    def programs() -> None:
        aiomisc.entrypoint(log_level="debug", log_format="plain")
        assert (logging.DEBUG, runtime.LogFormat.plain) == (aiomisc_log.LOG_LEVEL.get(), aiomisc_log.LOG_FORMAT.get())
        aiomisc.entrypoint(log_level="error", log_format="json", log_config=False)
        assert (logging.DEBUG, runtime.LogFormat.plain) == (aiomisc_log.LOG_LEVEL.get(), aiomisc_log.LOG_FORMAT.get())
        aiomisc.basic_config("warning", buffered=False)
        assert (logging.WARNING, runtime.LogFormat[runtime.LogFormat.default()]) == (
            aiomisc_log.LOG_LEVEL.get(),
            aiomisc_log.LOG_FORMAT.get(),
        )

    contextvars.Context().run(programs)


async def test_a_program_may_be_left_in_another_context() -> None:
    program = aiomisc.entrypoint(log_config=False)
    await program.__aenter__()
    assert (asyncio.get_running_loop(), program) == (EVENT_LOOP.get(), CURRENT_ENTRYPOINT.get())
    await asyncio.create_task(program.__aexit__(None, None, None))
    assert program.exit.closing.is_set()


def test_a_strict_variable_raises_a_fresh_error_each_time() -> None:
    variable: StrictContextVar[int] = StrictContextVar("number", KeyError("number"))
    seen: list[KeyError] = []
    for _ in range(2):
        with pytest.raises(KeyError) as caught:
            variable.get()
        seen.append(caught.value)
    assert seen[0] is not seen[1]
    with pytest.raises(LookupError, match="made"):
        StrictContextVar[int]("made", lambda: LookupError("made")).get()


def test_options_of_sockets() -> None:
    import socket

    with socket.socket() as sock:
        compat.sock_set_nodelay(sock)
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        compat.sock_set_reuseport(sock, True)
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT)
    with socket.socket(socket.AF_UNIX) as sock:
        compat.sock_set_nodelay(sock)
