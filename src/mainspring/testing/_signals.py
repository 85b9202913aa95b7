"""TestSignal: a point in a program at which a test holds it, or learns that it arrived."""

import asyncio
from collections.abc import Generator
from typing import Any  # Any: of the awaitable's unused send and yield types

from mainspring.errors import InvalidArgumentError, NeverHappenedError

_Line = list[tuple[asyncio.AbstractEventLoop, "asyncio.Future[None]"]]


class TestSignal:
    """An awaitable that a test fires, in place of sleeping and hoping.

    `await signal` returns when it was fired, at once if it was before. The other way round,
    `await signal.awaited()` returns when somebody waits for it: the program has arrived there. `fire()` is
    safe from any thread.

    Args:
        name: what the error calls it.
        within: seconds of the loop's time that each wait lasts at most.

    Raises:
        InvalidArgumentError: `within` is not above 0.

    Example:
        >>> async def main():
        ...     gate = TestSignal("gate")
        ...     async with asyncio.TaskGroup() as tasks:
        ...         task = tasks.create_task(gate.wait())
        ...         await gate.awaited()
        ...         gate.fire("open")
        ...     return task.result()
        >>> asyncio.run(main())
        'open'
    """

    __test__ = False  # pytest would collect it for its name

    def __init__(self, name: str = "signal", *, within: float = 5.0) -> None:
        if not within > 0:
            raise InvalidArgumentError(argument="within", value=within, expected="seconds above 0")
        self.name = name
        self._within = within
        self._fired = False
        self._value: object = None
        self._waiters: _Line = []
        self._watchers: _Line = []

    def __repr__(self) -> str:
        state = "fired" if self._fired else "not fired"
        return f"<TestSignal {self.name}: {state}, {len(self._waiters)} waiting>"

    def __await__(self) -> Generator[Any, Any, object]:
        return self.wait().__await__()

    @property
    def fired(self) -> bool:
        """Whether it was fired since it was made or reset."""
        return self._fired

    def fire(self, value: object = None) -> None:
        """Let everybody who waits, now and later, go on with `value`."""
        self._value = value
        self._fired = True
        _wake(self._waiters)

    def reset(self) -> None:
        """Make later waits wait for the next `fire()`."""
        self._fired = False

    async def wait(self) -> object:
        """Wait until it is fired; return the value it was fired with.

        Raises:
            NeverHappenedError: it was not fired in its time.
        """
        if not self.fired:
            loop = asyncio.get_running_loop()
            turn = loop.create_future()
            self._waiters.append((loop, turn))
            _wake(self._watchers)
            self._wake_if_fired()  # by another thread, before we stood in line
            await self._turn(turn, self._waiters, what=f"{self.name}.fire()")
        return self._value

    async def awaited(self) -> None:
        """Wait until somebody waits for it.

        Raises:
            NeverHappenedError: nobody did in its time.
        """
        if not self._waiters:
            loop = asyncio.get_running_loop()
            turn = loop.create_future()
            self._watchers.append((loop, turn))
            await self._turn(turn, self._watchers, what=f"a wait for {self.name}")

    def _wake_if_fired(self) -> None:
        if self._fired:
            _wake(self._waiters)

    async def _turn(self, turn: "asyncio.Future[None]", line: _Line, *, what: str) -> None:
        try:
            async with asyncio.timeout(self._within):  # noqa: TID251  # what measures others stands alone
                await turn
        except TimeoutError as error:
            raise NeverHappenedError(what=what, within=self._within, last=self) from error
        finally:
            line[:] = [entry for entry in line if entry[1] is not turn]


def _wake(line: _Line) -> None:
    while line:
        loop, turn = line.pop(0)
        loop.call_soon_threadsafe(_resolve, turn)


def _resolve(turn: "asyncio.Future[None]") -> None:
    if not turn.done():
        turn.set_result(None)
