"""The lifespan protocol of ASGI: the application is told when its server starts and stops.

Servers have lifespans of their own, which log what goes wrong and either end the process or serve all the same.
Here a start that failed is an error of the service, and a stop has a bound.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final, Literal, TypeAlias  # Any: the values of ASGI's dicts

from mainspring.errors import ApplicationFailedError
from mainspring.resilience import timeout as time_limit

log: Final = logging.getLogger(__name__)

ASGIScopeType: TypeAlias = MutableMapping[str, Any]
ASGIReceiveType: TypeAlias = Callable[[], Awaitable[MutableMapping[str, Any]]]
ASGISendType: TypeAlias = Callable[[MutableMapping[str, Any]], Awaitable[None]]
ASGIApplicationType: TypeAlias = Callable[[ASGIScopeType, ASGIReceiveType, ASGISendType], Awaitable[None]]
LifespanMode: TypeAlias = Literal["auto", "on", "off"]

_LAST_WORDS_SECONDS: Final = 1.0  # what an application that said "failed" has to raise the reason


class Lifespan:
    """Talks to one application from the start of its server to the stop.

    Args:
        app: called once, with a scope of the type "lifespan".
        service: its name, for errors.
        mode: "auto" takes an application that raises before it answers for one without a lifespan; "on"
            takes it for one that failed; "off" does not call it.
    """

    def __init__(self, app: ASGIApplicationType, *, service: str, mode: LifespanMode = "auto") -> None:
        self.state: dict[str, Any] = {}
        """What the application keeps for its requests."""
        self._app = app
        self._service = service
        self._mode = mode
        self._task: asyncio.Task[None] | None = None
        self._said: asyncio.Queue[MutableMapping[str, Any]] = asyncio.Queue()
        self._heard: asyncio.Queue[MutableMapping[str, Any]] = asyncio.Queue()

    async def start(self) -> None:
        """Wait until the application has started.

        Raises:
            ApplicationFailedError: it said that it cannot, or raised.
        """
        if self._mode == "off":
            return
        self._task = asyncio.create_task(self._live(), name=f"lifespan of {self._service}")
        self._said.put_nowait({"type": "lifespan.startup"})
        try:
            answer = await self._answer()
        except asyncio.CancelledError:
            await self._end()
            raise
        if answer is None:
            error = _error_of(self._task)
            if error is not None and self._mode == "on":
                raise self._failed("start", repr(error)) from error
            log.debug("the application of %s has no lifespan", self._service, exc_info=error)
        elif answer["type"] != "lifespan.startup.complete":
            await asyncio.wait([self._task], timeout=_LAST_WORDS_SECONDS)
            await self._end()
            raise self._failed("start", _reason(answer)) from _error_of(self._task)

    async def stop(self, *, timeout: float) -> None:
        """Wait until the application has stopped, `timeout` seconds at most; then it is cancelled.

        Raises:
            ApplicationFailedError: it said that something went wrong, raised, or took too long.
        """
        if self._task is None or self._task.done():
            return
        self._said.put_nowait({"type": "lifespan.shutdown"})
        try:
            async with time_limit(timeout):
                answer = await self._answer()
                await asyncio.wait([self._task])
        except TimeoutError:
            raise self._failed("stop", f"it took longer than {timeout:g} s") from None
        finally:
            await self._end()
        error = _error_of(self._task)
        if answer is not None and answer["type"] != "lifespan.shutdown.complete":
            raise self._failed("stop", _reason(answer)) from error
        if error is not None:
            raise self._failed("stop", repr(error)) from error

    async def _answer(self) -> MutableMapping[str, Any] | None:
        """Return the next message of the application; None when it ended without one."""
        if self._task is None:
            return None
        heard = asyncio.ensure_future(self._heard.get())
        try:
            await asyncio.wait([heard, self._task], return_when=asyncio.FIRST_COMPLETED)
            return heard.result() if heard.done() else None
        finally:
            heard.cancel()

    async def _live(self) -> None:
        scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": self.state}
        await self._app(scope, self._said.get, self._heard.put)

    async def _end(self) -> None:
        if self._task is not None and not self._task.done():
            self._task.cancel()
            await asyncio.wait([self._task], timeout=_LAST_WORDS_SECONDS)

    def _failed(self, action: str, reason: str) -> ApplicationFailedError:
        return ApplicationFailedError(service=self._service, action=action, reason=reason)


def _reason(answer: MutableMapping[str, Any]) -> str:
    """Return the last line of what the application said, which often is a whole traceback."""
    lines = str(answer.get("message", "")).strip().splitlines()
    return lines[-1] if lines else f"it answered {answer['type']!r}"


def _error_of(task: "asyncio.Task[None]") -> BaseException | None:
    return task.exception() if task.done() and not task.cancelled() else None
