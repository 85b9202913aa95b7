"""UvicornService over real sockets: an application among the services of a program."""

import asyncio
import logging
import signal
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.unit.services.support_asgi import Recorder, fetch, without_lifespan
from tests.unit.services.support_programs import program

from mainspring.errors import ApplicationFailedError, BindError, MissingExtraError, MisuseError
from mainspring.runtime import Entrypoint
from mainspring.services import ASGIReceiveType, ASGIScopeType, ASGISendType, UvicornApplication, UvicornService
from mainspring.testing import PythonChild
from mainspring.transport import bind_socket

pytestmark = pytest.mark.extras


class Web(UvicornService):
    app: UvicornApplication
    port = 0

    async def create_application(self) -> UvicornApplication:
        return self.app


def url(service: UvicornService, path: str = "/") -> str:
    return f"http://127.0.0.1:{service.port}{path}"


async def test_requests_are_answered_with_the_state_of_the_lifespan() -> None:
    app = Recorder()
    service = Web(app=app)
    async with program(service) as running:
        assert service.port > 0
        assert "/x open" == await fetch(url(service, "/x"))
        assert running.health().services[0].healthy
    assert ["started", "stopped"] == app.events
    assert not service.healthy()


async def test_handlers_of_signals_stay_as_they_are() -> None:
    before = [signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM)]
    async with program(Web(app=without_lifespan())):
        assert before == [signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM)]


async def test_a_request_that_runs_ends_before_the_program_does() -> None:
    app = Recorder()
    service = Web(app=app)
    async with program(service):
        answer = asyncio.create_task(fetch(url(service, "/slow")))
        await app.entered.wait()
        asyncio.get_running_loop().call_later(0.01, app.may_end.set)
    assert "/slow open" == await answer
    assert ["started", "stopped"] == app.events


async def test_a_request_that_does_not_end_is_cancelled_in_time(caplog: pytest.LogCaptureFixture) -> None:
    from aiohttp import ClientError

    app = Recorder()
    service = Web(app=app, timeout_graceful_shutdown=0.05)
    with caplog.at_level(logging.CRITICAL, logger="uvicorn.error"):
        async with program(service):
            answer = asyncio.create_task(fetch(url(service, "/slow")))
            await app.entered.wait()
        with pytest.raises((ClientError, AssertionError)):  # the connection is cut, or the answer is a 500
            await answer
    assert ["started", "cancelled", "stopped"] == app.events


async def test_a_connection_that_says_nothing_does_not_hold_the_stop() -> None:
    service = Web(app=without_lifespan(), timeout_graceful_shutdown=0.05)
    async with program(service):
        reader, writer = await asyncio.open_connection("127.0.0.1", service.port)
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n")
        await writer.drain()
    assert b"" == await reader.read()
    writer.close()


async def test_an_application_that_fails_to_start_is_an_error_of_the_program() -> None:
    service = Web(app=Recorder(fail_start=True))
    with pytest.raises(ApplicationFailedError, match="of Web did not start: KeyError"):
        async with program(service):
            pass


@pytest.mark.parametrize("app", ["no_such_module:app", "tests.unit.services.support_asgi:nothing"])
async def test_an_application_that_is_not_found_does_not_end_the_process(app: str) -> None:
    with pytest.raises(ApplicationFailedError, match="could not load it"):
        async with program(Web(app=app)):
            pass


async def test_a_port_that_is_taken_is_an_error_and_the_application_ends() -> None:
    app = Recorder()
    with socket.create_server(("127.0.0.1", 0)) as other, pytest.raises(BindError, match="cannot listen"):
        async with program(Web(app=app, port=other.getsockname()[1])):
            pass
    assert ["started", "stopped"] == app.events


async def test_a_socket_that_may_not_listen_is_closed() -> None:
    with bind_socket(address="127.0.0.1") as faster:
        port = faster.getsockname()[1]
        sock = bind_socket(address="127.0.0.1", port=port)
        faster.listen()
        app = Recorder()
        with pytest.raises(BindError, match=rf"cannot listen on 127\.0\.0\.1:{port}: Address already in use"):
            async with program(Web(app=app, sock=sock)):
                raise NotImplementedError
    assert -1 == sock.fileno()
    assert ["started", "stopped"] == app.events


async def test_a_bound_socket_is_served_and_closed() -> None:
    sock = socket.create_server(("127.0.0.1", 0))
    port = sock.getsockname()[1]
    service = Web(app=without_lifespan(), sock=sock)
    async with program(service):
        assert port == service.port
        assert "plain" == await fetch(url(service))
    assert -1 == sock.fileno()


async def test_a_bound_unix_socket_has_no_port(tmp_path: Path) -> None:
    from aiohttp import ClientSession, UnixConnector

    path = str(tmp_path / "web.sock")
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(path)
        service = Web(app=without_lifespan(), sock=sock)
        async with program(service), ClientSession(connector=UnixConnector(path)) as session:
            assert 0 == service.port
            async with session.get("http://web/") as response:
                assert "plain" == await response.text()


async def test_a_descriptor_is_served_and_stays_open() -> None:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        service = Web(app=without_lifespan(), fd=sock.fileno())
        async with program(service):
            assert sock.getsockname()[1] == service.port
            assert "plain" == await fetch(url(service))
        assert sock.getsockname()[1] == service.port


async def test_a_stream_may_end_by_itself_when_the_program_begins_to_stop() -> None:
    events: list[str] = []
    begun = asyncio.Event()

    async def app(scope: ASGIScopeType, receive: ASGIReceiveType, send: ASGISendType) -> None:
        if scope["type"] != "http":
            raise NotImplementedError
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"begin ", "more_body": True})
        begun.set()
        await Entrypoint.get_current().closing()
        await send({"type": "http.response.body", "body": b"end"})
        events.append("ended")

    service = Web(app=app, timeout_graceful_shutdown=30)
    async with program(service):
        answer = asyncio.create_task(fetch(url(service)))
        await begun.wait()
    assert ["ended"] == events
    assert "begin end" == await answer


async def test_a_unix_socket_is_served_and_removed(tmp_path: Path) -> None:
    from aiohttp import ClientSession, UnixConnector

    path = tmp_path / "web.sock"
    async with (
        program(Web(app=without_lifespan("over a path"), uds=str(path))),
        ClientSession(connector=UnixConnector(str(path))) as session,
        session.get("http://web/") as response,
    ):
        assert "over a path" == await response.text()
    assert not path.exists()


async def test_a_socket_that_a_successor_has_made_stays(tmp_path: Path) -> None:
    path = tmp_path / "web.sock"
    async with program(Web(app=without_lifespan(), uds=str(path))):
        path.unlink()
        path.touch()
    assert path.exists()


async def test_options_of_uvicorn_are_attributes() -> None:
    from aiohttp import ClientSession

    class Labelled(Web):
        server_header = False
        headers = (("X-Team", "data"),)

    service = Labelled(app=without_lifespan())
    async with program(service), ClientSession() as session, session.get(url(service)) as response:
        assert "data" == response.headers["X-Team"]
        assert "Server" not in response.headers
        assert "Date" in response.headers


@pytest.mark.filterwarnings("ignore:Uvicorn's native WSGI implementation is deprecated:DeprecationWarning")
async def test_wsgi_factories_and_names_are_served() -> None:
    def wsgi(environ: dict[str, Any], start_response: Callable[..., object]) -> list[bytes]:
        start_response("200 OK", [("Content-Length", "4")])
        return [b"wsgi"]

    services = {
        "wsgi": Web(app=wsgi, interface="wsgi"),
        "plain": Web(app=without_lifespan, factory=True),
        "by its name": Web(app="tests.unit.services.support_asgi:named_app"),
    }
    async with program(*services.values()):
        for answer, service in services.items():
            assert answer == await fetch(url(service))


async def test_a_start_that_fails_after_the_port_is_bound_gives_it_back() -> None:
    sock = socket.create_server(("127.0.0.1", 0))
    app = Recorder()
    with pytest.raises(TypeError):
        async with program(Web(app=app, sock=sock, backlog="many")):
            pass
    assert -1 == sock.fileno()
    assert ["started", "stopped"] == app.events


async def test_each_server_says_for_itself_whether_requests_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    quiet, talking = Web(app=without_lifespan(), access_log=False), Web(app=without_lifespan())
    with caplog.at_level(logging.INFO, logger="uvicorn.access"):
        async with program(quiet, talking):
            await fetch(url(quiet, "/quiet"))
            await fetch(url(talking, "/talking"))
    logged = [record.getMessage() for record in caplog.records if record.name == "uvicorn.access"]
    assert 1 == len(logged)
    assert '"GET /talking HTTP/1.1" 200' in logged[0]


async def test_a_service_is_started_once_at_a_time_and_again_after_its_stop() -> None:
    service = Web(app=without_lifespan())
    for _ in range(2):
        async with program(service):
            with pytest.raises(MisuseError, match="started already"):
                await service.start()
            assert "plain" == await fetch(url(service))


async def test_stop_before_start_does_nothing() -> None:
    await Web(app=without_lifespan()).stop()


async def test_without_uvicorn_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    with pytest.raises(MissingExtraError) as caught:
        await Web(app=without_lifespan()).start()
    assert 'pip install "mainspring[uvicorn]"' == caught.value.hint


def test_a_service_without_application_is_abstract() -> None:
    with pytest.raises(TypeError, match="create_application"):
        UvicornService()  # type: ignore[abstract]  # that is the point  # pyright: ignore[reportAbstractUsage]
    with pytest.raises(TypeError, match="coroutine"):
        type("Plain", (UvicornService,), {"create_application": print})


_PROGRAM = """
from mainspring import entrypoint
from mainspring.services import UvicornService


async def app(scope, receive, send):
    raise NotImplementedError


class Web(UvicornService):
    port = 0

    async def create_application(self):
        return app

    async def start(self):
        await super().start()
        print("port", self.port, flush=True)


with entrypoint(Web(), log_config=False) as loop:
    loop.run_forever()
"""


async def test_sigterm_ends_a_program_with_a_web_server_as_any_other() -> None:
    async with PythonChild("-c", _PROGRAM) as child:
        await child.line("port")
        assert 143 == await child.send(signal.SIGTERM)
