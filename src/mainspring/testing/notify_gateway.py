"""A notification gateway for tests: speaks the protocol of `Notifier`, keeps what it was told (extra `aiohttp`)."""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self  # Any: messages are whatever services take

from mainspring.base import load_extra
from mainspring.errors import ClosedError

if TYPE_CHECKING:
    from aiohttp import web

_MOST_KEPT: Final = 10_000


@dataclass(frozen=True, slots=True)
class SentNotification:
    """A message that the gateway took.

    Args:
        user_id: who sent it.
        channel: where to.
        msg_type: "text", "lark_raw" or what the sender said.
        data: the text, or the message in the form of the service.
        at: the people named in it.
        params: what else the sender passed on.
        key: the idempotency key.
    """

    user_id: str
    channel: str
    msg_type: str
    data: Any  # Any: messages are whatever services take
    at: tuple[str, ...]
    params: Mapping[str, Any]
    key: str


class NotifyGateway:
    """A gateway on a free local port, while its `async with` block runs.

    It knows channels and their bots, and keeps the last 10 000 messages instead of passing them on. A message
    with a key that it has seen is taken once.

    Attributes:
        sent: the messages, oldest first.
        channels: the bots of each (user, channel).
        request_count: requests so far, refused ones too.
    """

    def __init__(self) -> None:
        self.sent: deque[SentNotification] = deque(maxlen=_MOST_KEPT)
        self.channels: dict[tuple[str, str], list[dict[str, str]]] = {}
        self.request_count = 0
        self._faults: deque[tuple[int, str]] = deque()
        self._runner: web.AppRunner | None = None
        self._port = 0

    @property
    def url(self) -> str:
        """What to give to `Notifier(url=)`.

        Raises:
            ClosedError: the gateway does not run.
        """
        if self._runner is None:
            raise ClosedError(what="the notification gateway", hint="use it inside `async with`")
        return f"http://127.0.0.1:{self._port}"

    def fail_next(self, count: int = 1, *, status: int = 503, body: str = "busy") -> None:
        """Answer the next `count` requests with this status and body, and do nothing else."""
        self._faults.extend([(status, body)] * count)

    async def __aenter__(self) -> Self:
        load_extra("aiohttp", feature="the notification gateway", extra="aiohttp")
        from aiohttp import web

        app = web.Application()
        app.router.add_post("/api/channel/", self._set_channel)
        app.router.add_get("/api/channel_info/", self._get_channel)
        app.router.add_post("/api/notify/", self._notify)
        self._runner = web.AppRunner(app)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self._port = self._runner.addresses[0][1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.cleanup()

    async def _set_channel(self, request: "web.Request") -> "web.Response":
        return await self._answer(request, self._store_bots)

    async def _get_channel(self, request: "web.Request") -> "web.Response":
        return await self._answer(request, self._bots)

    async def _notify(self, request: "web.Request") -> "web.Response":
        return await self._answer(request, self._take)

    async def _answer(self, request: "web.Request", handle: Any) -> "web.Response":  # Any: one of the three below
        from aiohttp import web

        self.request_count += 1
        body = await request.json()
        if self._faults:
            status, text = self._faults.popleft()
            return web.Response(status=status, text=text)
        return web.json_response(handle(body, request.headers.get("Idempotency-Key", "")))

    def _store_bots(self, body: dict[str, Any], key: str) -> dict[str, Any]:
        self.channels[body["userId"], body["channel"]] = body["bots"]
        return {"msgCode": 0}

    def _bots(self, body: dict[str, Any], key: str) -> dict[str, Any]:
        return {"msgCode": 0, "bots": self.channels.get((body["userId"], body["channel"]), [])}

    def _take(self, body: dict[str, Any], key: str) -> dict[str, Any]:
        if not self.channels.get((body["userId"], body["channel"])):
            return {"msgCode": 404, "msg": "no such channel"}
        if not key or all(one.key != key for one in self.sent):
            people, params = tuple(body["at"]), body["params"]
            one = SentNotification(body["userId"], body["channel"], body["msgType"], body["data"], people, params, key)
            self.sent.append(one)
        return {"msgCode": 0}
