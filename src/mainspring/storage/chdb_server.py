"""ClickHouse's HTTP interface over the embedded engine: what the child of `_engine_process` runs (extra `chdb`).

Only what drivers use: `/ping`, statements by address or body, `{name:Type}` parameters, settings, inserts in any
format with compressed bodies, answers that are sent block by block, errors with their codes. One user. The child
ends when its standard input does, so that it never outlives its parent.
"""

import asyncio
import hmac
import os
import sys
from base64 import b64decode
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeVar

from mainspring.base import decode_json, encode_json, new_id
from mainspring.errors import ClickHouseRefusedError
from mainspring.storage._engine_bodies import body_decoder
from mainspring.storage._engine_call import EngineCall, read_call
from mainspring.storage._thread_calls import in_thread
from mainspring.storage.chdb_engine import EngineConnection, refused

if TYPE_CHECKING:
    from aiohttp import web

T = TypeVar("T")

CONNECTIONS: Final = 4  # statements that the engine works on at once; others wait in line
PIECE: Final = 1 << 20
LONGEST_STATEMENT: Final = 64 << 20
_STATUS: Final[Mapping[int, int]] = {46: 404, 47: 404, 60: 404, 62: 400, 81: 404, 516: 403}
_REFUSED: Final = 516


class EngineServer:
    """Answers requests with a few connections to the engine."""

    def __init__(self, connections: list[EngineConnection], *, password: str, timezone: str) -> None:
        self._free: asyncio.LifoQueue[EngineConnection] = asyncio.LifoQueue()
        for connection in connections:
            self._free.put_nowait(connection)
        self._password = password
        self._timezone = timezone

    def app(self) -> "web.Application":
        """Return the application for aiohttp."""
        from aiohttp import web

        app = web.Application(client_max_size=LONGEST_STATEMENT)
        app.router.add_route("*", "/ping", self._ping)
        app.router.add_route("*", "/", self._handle)
        return app

    async def _ping(self, request: "web.Request") -> "web.Response":
        from aiohttp import web

        return web.Response(text="Ok.\n")

    async def _handle(self, request: "web.Request") -> "web.StreamResponse":
        try:
            if not self._known(request):
                raise refused(f"Code: {_REFUSED}. DB::Exception: Authentication failed (AUTHENTICATION_FAILED)")
            return await self._serve(request)
        except ClickHouseRefusedError as error:
            return self._refusal(error.code, error.reason)
        except ValueError as error:
            return self._refusal(36, f"Code: 36. DB::Exception: {error} (BAD_ARGUMENTS)")

    async def _serve(self, request: "web.Request") -> "web.StreamResponse":
        call, rest = await _read(request)
        connection = await self._free.get()
        try:
            try:
                await _off_loop(connection.prepare, call)
                if call.takes_data:
                    return await self._insert(connection, call, rest)
                if call.streams:
                    return await self._stream(request, connection, call)
                return await self._answer(connection, call)
            finally:
                if call.settings:
                    await _off_loop(connection.restore, call.settings)
        finally:
            self._free.put_nowait(connection)

    async def _insert(self, connection: EngineConnection, call: EngineCall, rest: "_Body") -> "web.Response":
        inserter = await _off_loop(connection.inserter, call)
        try:
            if call.data:
                await _off_loop(inserter.append, call.data)
            while piece := await rest.read():
                await _off_loop(inserter.append, piece)
            written = await _off_loop(inserter.finish)
        except BaseException:
            inserter.cancel()
            raise
        return self._reply(b"", None, written=written)

    async def _answer(self, connection: EngineConnection, call: EngineCall) -> "web.Response":
        answer = await _off_loop(connection.answer, call)
        return self._reply(answer.body, answer.form, read=answer.read_rows, written=answer.written_rows)

    async def _stream(
        self, request: "web.Request", connection: EngineConnection, call: EngineCall
    ) -> "web.StreamResponse":
        from aiohttp import web

        blocks = connection.stream(call)
        try:
            first = await _off_loop(_next, blocks)  # an error that comes before the first block has a status
            tag = new_id().replace("-", "")[-16:]
            response = web.StreamResponse(headers={**self._headers(call.form), "X-ClickHouse-Exception-Tag": tag})
            with suppress(ConnectionError):  # whoever asked has left
                await response.prepare(request)
                if first is not None:
                    await _send(response, first, blocks, tag)
                await response.write_eof()
        finally:
            await _off_loop(_close, blocks)
        return response

    def _known(self, request: "web.Request") -> bool:
        """Tell whether the request has the password, in whichever of the three places."""
        given = request.query.get("password", request.headers.get("X-ClickHouse-Key", ""))
        kind, _, value = request.headers.get("Authorization", "").partition(" ")
        if kind.lower() == "basic":
            with suppress(ValueError):
                given = b64decode(value).decode().partition(":")[2]
        return hmac.compare_digest(given.encode(), self._password.encode())

    def _headers(self, form: str | None) -> dict[str, str]:
        headers = {"X-ClickHouse-Timezone": self._timezone, "X-ClickHouse-Query-Id": new_id()}
        return headers if form is None else {**headers, "X-ClickHouse-Format": form}

    def _reply(self, body: bytes, form: str | None, *, read: int = 0, written: int = 0) -> "web.Response":
        from aiohttp import web

        summary = encode_json({"read_rows": str(read), "written_rows": str(written)}).decode()
        return web.Response(body=body, headers={**self._headers(form), "X-ClickHouse-Summary": summary})

    def _refusal(self, code: int, text: str) -> "web.Response":
        from aiohttp import web

        headers = {**self._headers(None), "X-ClickHouse-Exception-Code": str(code)}
        return web.Response(status=_STATUS.get(code, 500), text=text, headers=headers)


class _Body:
    """The body of a request, plain, piece by piece."""

    def __init__(self, request: "web.Request") -> None:
        self._content = request.content
        self._decode = body_decoder(request.headers.get("Content-Encoding"))

    async def read(self) -> bytes:
        """Return the next piece, empty at the end."""
        while piece := await self._content.read(PIECE):
            if plain := self._decode(piece):
                return plain
        return b""

    async def read_all(self) -> bytes:
        parts: list[bytes] = []
        size = 0
        while piece := await self.read():
            parts.append(piece)
            size += len(piece)
            if size > LONGEST_STATEMENT:
                raise ValueError(f"a statement may have {LONGEST_STATEMENT} bytes")
        return b"".join(parts)


async def _read(request: "web.Request") -> tuple[EngineCall, _Body]:
    """Return what a request asks for, and what is left of its body: nothing, unless it is data to insert."""
    body = _Body(request)
    arguments = dict(request.query)
    if request.content_type == "multipart/form-data":
        form = await request.post()
        if any(not isinstance(value, str) for value in form.values()):
            raise ValueError("external data is not supported")
        return read_call({**arguments, **{name: str(value) for name, value in form.items()}}, b""), body
    head = await body.read()
    call = read_call(arguments, head)
    if not call.takes_data:
        call = read_call(arguments, head + await body.read_all())
    return call, body


async def _send(response: "web.StreamResponse", first: bytes, blocks: Iterator[bytes], tag: str) -> None:
    """Send block after block; an error in the middle is sent in the form that drivers look for."""
    block: bytes | None = first
    try:
        while block is not None:
            await response.write(block)
            block = await _off_loop(_next, blocks)
    except ClickHouseRefusedError as error:
        text = error.reason
        trailer = f"\r\n__exception__\r\n{tag}\r\n{text}\n{len(text.encode())} {tag}\r\n__exception__\r\n"
        await response.write(trailer.encode())
        response.force_close()


async def _off_loop(call: Callable[..., T], *args: Any) -> T:
    return await in_thread(partial(call, *args))


def _next(blocks: Iterator[bytes]) -> bytes | None:
    return next(blocks, None)


def _close(blocks: Any) -> None:
    blocks.close()


async def _serve_until_eof(connections: list[EngineConnection], port: int, password: str) -> None:
    from aiohttp import web

    server = EngineServer(connections, password=password, timezone=connections[0].timezone())
    runner = web.AppRunner(server.app(), access_log=None, shutdown_timeout=5.0, auto_decompress=False)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port, reuse_address=True).start()
    _say({"port": int(runner.addresses[0][1])})
    try:
        await in_thread(sys.stdin.buffer.read)
    finally:
        await runner.cleanup()


def _say(line: Mapping[str, object]) -> None:
    os.write(1, encode_json(line) + b"\n")


def main() -> None:
    """Read one line with `path`, `port` and `password`, serve, and end when standard input ends."""
    wanted: dict[str, Any] = decode_json(sys.stdin.buffer.readline())
    connections: list[EngineConnection] = []
    try:
        connections += [EngineConnection(wanted["path"]) for _ in range(CONNECTIONS)]
        asyncio.run(_serve_until_eof(connections, wanted["port"], wanted["password"]))
    except ClickHouseRefusedError as error:
        _say({"error": error.reason})
    except (ImportError, OSError) as error:
        _say({"error": str(error)})
    finally:
        for connection in connections:
            connection.close()
