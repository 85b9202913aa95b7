"""Links over WebSocket, by picows: the extra `ws`. A record is a message."""

import asyncio
import contextlib
import functools
import logging
import socket
from collections.abc import Callable, Collection, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any, Final, cast  # Any: picows' enums are compiled

from mainspring.base import load_extra
from mainspring.errors import ClosedError, FrameTooLargeError, HandshakeError
from mainspring.transport._address import Address
from mainspring.transport._inbox import DEFAULT_UNREAD_BYTES
from mainspring.transport._link import Link
from mainspring.transport._options import LinkOptions
from mainspring.transport._outbox import Outbox, join_small
from mainspring.transport._records import Bytes, TextPayload

if TYPE_CHECKING:
    import picows

log = logging.getLogger(__name__)

_FINAL: Final = 0x80
_TEXT: Final = 1
_BINARY: Final = 2
_JOIN_BYTES: Final = 1 << 17


class _Frame(bytes):
    """A server's message as one frame, and what picows needs to make it again, faster."""

    payload: Bytes
    kind: Any


class WebSocketLink(Link):
    """One WebSocket.

    Args:
        is_client: this end has connected, so what it sends is masked.
        options: how links are made.
    """

    def __init__(self, *, is_client: bool, options: LinkOptions) -> None:
        super().__init__(
            kind="ws" if options.ssl is None else "wss",
            encoding="ws/client" if is_client else "ws/server",
            small_headers=(),
            outbox=Outbox(self._send_masked if is_client else self._send_frames),
            heartbeat=options.heartbeat,
            idle_timeout=options.idle_timeout,
            unread_bytes=DEFAULT_UNREAD_BYTES,
        )
        self._is_client = is_client
        self._max_bytes = options.max_bytes
        self._websocket: picows.WSTransport | None = None
        self._fragments: list[bytes] = []  # of a message that comes in several frames
        self._fragment_bytes = 0
        self._is_in_message = False
        self._is_text = False

    def encode(self, payload: Bytes, *, is_text: bool = False) -> Sequence[Bytes]:
        """Return a message: for a server as one frame, complete; for a client as picows takes it."""
        if self._is_client:
            return [TextPayload(payload) if is_text else payload]
        header = _frame_header(len(payload), _TEXT if is_text else _BINARY)
        if len(payload) > _JOIN_BYTES:
            return [header, payload]
        frame = _Frame(header + payload)
        frame.payload = payload
        frame.kind = _types().TEXT if is_text else _types().BINARY
        return [frame]

    def combine(self, records: Sequence[Sequence[Bytes]]) -> Sequence[Bytes]:
        """Return encoded messages as the buffers to write; a client's are masked one by one."""
        if len(records) == 1:
            return records[0]
        parts = list(chain.from_iterable(records))
        return parts if self._is_client else list(join_small(parts))

    def sender(self, links: Sequence[Link]) -> Callable[[Sequence[Bytes]], None]:
        """Return what gives the same buffers to links of this encoding."""
        # Each call of the system leaves the processor's caches cold: what is looked up before saves 1 us a client.
        sockets = [link._websocket for link in cast(Sequence[WebSocketLink], links)]  # of one encoding, of one class
        native = [socket.send for socket in sockets if socket is not None]
        sends = [link.outbox.send for link in links]

        def send(parts: Sequence[Bytes]) -> None:
            first = parts[0]
            if type(first) is _Frame and len(parts) == 1:
                kind, payload = first.kind, first.payload
                for one in native:
                    one(kind, payload)
            else:
                for other in sends:
                    other(parts)

        return send

    def limit(self, nbytes: int) -> None:
        """Messages come whole, and picows refuses those that are too long."""

    def close(self, error: Exception | None = None) -> None:
        """Write what was taken, say goodbye, close. May be called again."""
        self.outbox.flush()
        self._hang_up(_codes().OK, error or ClosedError(what="the connection"))

    def abort(self, error: Exception | None = None) -> None:
        """Close at once; what is unsent is lost."""
        self._end(error or ClosedError(what="the connection"))
        if self._websocket is not None:
            self._websocket.disconnect(False)

    # Called by the listener.

    def on_open(self, websocket: "picows.WSTransport") -> None:
        """The upgrade is done."""
        self._websocket = websocket
        self._begin(websocket.underlying_transport)

    def on_frame(self, frame: "picows.WSFrame") -> None:
        """A frame came: a message, a part of one, or a sign."""
        self.pulse.was_heard = True
        self.outbox.note_receipt()
        if self.outbox.error is not None:
            return
        kind, types = frame.msg_type, _types()
        if kind == types.BINARY or kind == types.TEXT or kind == types.CONTINUATION:
            self._on_data(frame, is_first=kind != types.CONTINUATION)
        elif kind == types.CLOSE:
            code: Any = frame.get_close_code()
            reason = f"the other end has closed it ({int(code)})"
            self._hang_up(code, self._broken(reason, is_clean=not self._is_in_message))

    def on_lost(self) -> None:
        """The connection is gone."""
        self._finish(self._broken("it was cut without a close"))

    # The rest is this file's own.

    def _on_data(self, frame: "picows.WSFrame", *, is_first: bool) -> None:
        if is_first == self._is_in_message or frame.rsv1 or frame.rsv2 or frame.rsv3:
            problem = "its fragments are out of order, or use an extension"
            self._hang_up(_codes().PROTOCOL_ERROR, self._broken(problem))
            return
        payload = frame.get_payload_as_bytes()
        if is_first:
            self._is_text = frame.msg_type == _types().TEXT
        if frame.fin and is_first:
            self._complete(payload)
            return
        self._is_in_message = True
        self._fragments.append(payload)
        self._fragment_bytes += len(payload)
        if self._fragment_bytes > self._max_bytes:
            size, self._fragments = self._fragment_bytes, []
            self._hang_up(_codes().MESSAGE_TOO_BIG, FrameTooLargeError(size=size, max_bytes=self._max_bytes))
        elif frame.fin:
            whole = b"".join(self._fragments)
            self._fragments, self._fragment_bytes, self._is_in_message = [], 0, False
            self._complete(whole)

    def _complete(self, payload: bytes) -> None:
        self.pulse.note_record()
        self.deliver([TextPayload(payload) if self._is_text else payload])

    def _hang_up(self, code: Any, error: Exception) -> None:
        self._end(error)
        websocket = self._websocket
        if websocket is not None and not websocket.is_disconnected:
            if not websocket.is_close_frame_sent:
                websocket.send_close(code)
            websocket.disconnect()

    def _send_frames(self, parts: Sequence[Bytes]) -> None:
        websocket, transport = self._websocket, self.transport
        if websocket is None or transport is None:
            return
        first = parts[0]
        if type(first) is _Frame and len(parts) == 1:
            websocket.send(first.kind, first.payload)  # in C, past the transport; in order, as nothing waits
            return
        if websocket.is_disconnected or transport.is_closing():
            return  # the next write says why
        for part in join_small(parts):
            transport.write(part)

    def _send_masked(self, parts: Sequence[Bytes]) -> None:
        types = _types()
        for payload in parts:
            if self._websocket is not None and not self._websocket.is_disconnected:
                self._websocket.send(types.TEXT if isinstance(payload, TextPayload) else types.BINARY, payload)

    def _ask(self) -> None:
        if self._websocket is not None and self.outbox.error is None:
            self._websocket.send_ping()


async def listen(
    address: Address,
    options: LinkOptions,
    on_connected: Callable[[Link], None],
    *,
    origins: Collection[str],
) -> asyncio.Server:
    """Listen; `on_connected` is called with each link whose upgrade is done.

    A request that says an Origin comes from a page in a browser; it is refused unless that is in `origins`.
    """
    library = _picows()

    def make_listener(request: "picows.WSUpgradeRequest") -> Any:
        origin = request.headers.get("Origin")
        if origin is not None and origin not in origins:
            log.warning("a page of %s was refused", origin)
            response = library.WSUpgradeResponse.create_error_response(403, b"this origin is not listed\n")
            return library.WSUpgradeResponseWithListener(response, None)
        if address.path not in ("", "/") and request.path.decode("latin-1") != address.path:
            return None
        link = WebSocketLink(is_client=False, options=options)
        link.on_connected = on_connected
        return _listener_type()(link)

    server: asyncio.Server = await library.ws_create_server(
        make_listener,
        address.host,
        address.port,
        ssl=options.ssl,
        ssl_handshake_timeout=options.handshake_timeout if options.ssl is not None else None,
        websocket_handshake_timeout=options.handshake_timeout,
        max_frame_size=options.max_bytes,
    )
    return server


async def dial(address: Address, options: LinkOptions) -> WebSocketLink:
    """Connect; return the link, upgraded.

    Raises:
        HandshakeError: the other end does not take the upgrade.
        OSError: nobody is there.
    """
    library = _picows()
    link = WebSocketLink(is_client=True, options=options)
    url = f"{address.scheme if options.ssl is None else 'wss'}://{str(address).split('://', 1)[1]}"
    stream = await _connected(address)

    def give_stream(_: object) -> socket.socket:
        return stream

    try:
        await library.ws_connect(
            lambda: _listener_type()(link),
            url,
            ssl_context=options.ssl,
            websocket_handshake_timeout=options.handshake_timeout,
            max_frame_size=options.max_bytes,
            max_redirects=0,
            socket_factory=give_stream,
        )
    except library.WSError as error:
        raise HandshakeError(peer=str(address), reason=f"it did not take the upgrade ({error})") from error
    except BaseException:
        with contextlib.suppress(OSError):
            stream.shutdown(socket.SHUT_RDWR)  # picows, when it is cancelled here, leaves its transport open
        raise
    return link


async def _connected(address: Address) -> socket.socket:
    """Return a socket that is connected to the first place of the name that takes it."""
    loop = asyncio.get_running_loop()
    failures: list[OSError] = []
    for family, kind, protocol, _, place in await loop.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM):
        stream = socket.socket(family, kind, protocol)
        try:
            stream.setblocking(False)
            await loop.sock_connect(stream, place)
        except OSError as error:
            stream.close()
            failures.append(error)
        except BaseException:
            stream.close()
            raise
        else:
            return stream
    raise failures[0]


def _frame_header(size: int, opcode: int) -> bytes:
    """Return the header of an unmasked frame, RFC 6455 section 5.2."""
    if size < 126:
        return bytes((_FINAL | opcode, size))
    if size < 1 << 16:
        return bytes((_FINAL | opcode, 126)) + size.to_bytes(2, "big")
    return bytes((_FINAL | opcode, 127)) + size.to_bytes(8, "big")


@functools.cache
def _listener_type() -> Callable[[WebSocketLink], "picows.WSListener"]:
    """Return the class that hears picows and tells a link; made when picows is there."""
    base: type[Any] = _picows().WSListener

    class Listener(base):  # type: ignore[misc]  # pyright: ignore[reportGeneralTypeIssues, reportUntypedBaseClass]
        def __init__(self, link: WebSocketLink) -> None:
            self._link = link
            self.pause_writing = link.outbox.pause
            self.resume_writing = link.resume_writing

        def on_ws_connected(self, transport: "picows.WSTransport") -> None:
            self._link.on_open(transport)

        def on_ws_frame(self, transport: "picows.WSTransport", frame: "picows.WSFrame") -> None:
            self._link.on_frame(frame)

        def on_ws_disconnected(self, transport: "picows.WSTransport") -> None:
            self._link.on_lost()
            if transport.is_client_side:
                asyncio.get_running_loop().call_soon(_hear_out, transport)

    return Listener


def _hear_out(transport: "picows.WSTransport") -> None:
    """Ask a client's transport that has ended for its error, about which asyncio complains when nobody does."""
    asking = transport.wait_disconnected()
    with contextlib.suppress(StopIteration, _picows().WSError):  # which the link has heard of in its own way
        asking.send(None)  # what it waits for is there: it ends in its first step
    asking.close()


@functools.cache
def _types() -> Any:
    return _picows().WSMsgType


@functools.cache
def _codes() -> Any:
    return _picows().WSCloseCode


@functools.cache
def _picows() -> Any:
    return load_extra("picows", feature="WebSocket", extra="ws")
