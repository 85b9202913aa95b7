"""A request whose body may not be longer than it is allowed to be, whatever its head says of it."""

from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from mainspring.web._problems import problem


class BoundedBody:
    """Stands between an application and the server for one request; cuts off a body that is too long.

    Unless the application has begun to answer, the client is told so here, and what the application says then is
    dropped; it sees a client that is gone.
    """

    def __init__(self, scope: Scope, receive: Receive, send: Send, *, max_body: int) -> None:
        self._scope = scope
        self._receive = receive
        self._send = send
        self._max_body = max_body
        self._taken = 0
        self._begun = False
        self.cut_off = False
        """Whether the client was told here that its request is too long."""

    async def receive(self) -> Message:
        """Return the next part of the body."""
        if self._taken <= self._max_body:
            message = await self._receive()
            self._taken += len(message.get("body", b""))
            if self._taken <= self._max_body:
                return message
            if not self._begun:
                self.cut_off = True
                await too_large(self._max_body)(self._scope, self._receive, self._send)
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        """Pass on what the application answers."""
        if not self.cut_off:
            self._begun = True
            await self._send(message)


def too_large(max_body: int) -> Response:
    """Return what a client is told whose request is too long; the rest of it is not read."""
    return problem(413, f"a request may have {max_body} bytes", headers={"Connection": "close"})
