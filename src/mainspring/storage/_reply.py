"""What a command to a store is answered with: to be awaited, or handed to a callback at once.

A future hands its result on with the next turn of the loop, through a handle of its own. Where every answer is
followed by a single step, that is most of what the step costs.
"""

import asyncio
from collections.abc import Awaitable, Callable, Generator
from functools import partial
from typing import Any, Generic, TypeVar, TypeVarTuple, cast

R = TypeVar("R")
Ts = TypeVarTuple("Ts")


class Reply(Generic[R]):
    """An answer on its way. Whoever gives up waiting for it changes nothing: the command is carried out.

    Belongs to one loop, on which it is resolved.
    """

    __slots__ = ("_answer", "_arguments", "_done", "_then", "error", "task")

    def __init__(self) -> None:
        self.error: BaseException | None = None
        self.task: asyncio.Future[R] | None = None  # that finds it out, if there is one
        self._answer: R | None = None
        self._done = False
        self._then: Callable[..., None] | None = None
        self._arguments: tuple[Any, ...] = ()  # Any: those of `_then`

    def done(self) -> bool:
        """Tell whether it is there."""
        return self._done

    def result(self) -> R:
        """Return the answer that is there, or raise what it is."""
        if self.error is not None:
            raise self.error
        return cast("R", self._answer)  # cast: R may include None

    def then(self, callback: "Callable[[*Ts, Reply[R]], None]", *args: *Ts) -> None:
        """Call `callback` with `args` and this as soon as the answer is there: at once, if it is."""
        if self._done:
            callback(*args, self)
        elif self._then is None:
            self._then, self._arguments = callback, args
        else:
            self._then, self._arguments = _both, (self._then, self._arguments, callback, args)

    def set_result(self, answer: R) -> None:
        """Resolve it."""
        self._answer = answer
        self._tell()

    def set_exception(self, error: BaseException) -> None:
        """Resolve it with an error."""
        self.error = error
        self._tell()

    def _tell(self) -> None:
        self._done = True
        then, self._then = self._then, None
        if then is None:
            return
        try:
            then(*self._arguments, self)
        except Exception as error:  # noqa: BLE001  # supervisor: the answers of others come with this one
            message = f"a callback for the answer of a store failed: {then!r}"
            asyncio.get_running_loop().call_exception_handler({"message": message, "exception": error})

    def __await__(self) -> Generator[Any, None, R]:
        """Wait for the answer."""
        if not self._done:
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self.then(_wake, waiter)
            yield from waiter
        return self.result()

    def __repr__(self) -> str:
        return f"<Reply {'done' if self._done else 'on its way'}>"


def reply_of(answer: Awaitable[R]) -> Reply[R]:
    """Return an answer as a reply, which it may be already; else a task waits for it."""
    if isinstance(answer, Reply):
        return answer
    reply: Reply[R] = Reply()
    reply.task = asyncio.ensure_future(answer)
    reply.task.add_done_callback(partial(_hand_on, reply))
    return reply


def _hand_on(reply: Reply[R], task: "asyncio.Future[R]") -> None:
    if task.cancelled():
        reply.set_exception(asyncio.CancelledError())
    elif (error := task.exception()) is not None:
        reply.set_exception(error)
    else:
        reply.set_result(task.result())


# Any: the arguments of both
def _both(
    first: Callable[..., None],
    of_first: tuple[Any, ...],
    second: Callable[..., None],
    of_second: tuple[Any, ...],
    reply: Reply[Any],
) -> None:
    try:
        first(*of_first, reply)
    finally:
        second(*of_second, reply)


# Any: whoever waits does not care for the type
def _wake(waiter: "asyncio.Future[None]", _: Reply[Any]) -> None:
    if not waiter.done():
        waiter.set_result(None)
