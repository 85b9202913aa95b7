"""One call on its way through a worker pool."""

import asyncio
import pickle
from collections.abc import Callable
from contextvars import copy_context
from importlib.util import find_spec
from typing import Any, Final, NamedTuple, Protocol, TypeVar  # Any: calls of any signature

from mainspring.base import load_extra, outside_work
from mainspring.concurrency._child_main import NAMES_MAIN, describe_main
from mainspring.concurrency._worker_main import task_name
from mainspring.concurrency._worker_messages import (
    MAX_MESSAGE_BYTES,
    Kind,
    Message,
    message_bytes,
    pickle_out_of_band,
)
from mainspring.errors import ResultNotPicklableError, TaskNotPicklableError

T = TypeVar("T")

# RuntimeError: a lock or a queue of multiprocessing, and what is nested too deeply
_NOT_PICKLABLE: Final = (pickle.PicklingError, TypeError, AttributeError, ValueError, RuntimeError)


class TaskOwner(Protocol):
    """Who takes a task back when it is cancelled: the pool."""

    def on_cancel(self, task: "WorkerTask[Any]") -> None:
        """The task was cancelled by who awaits it."""
        ...


class PackedCall(NamedTuple):
    """A call that can travel: the function's name for messages, a pickle, and the buffers beside it.

    Attributes:
        on_begin: called, in the thread of the pool, when a worker has loaded it and begins with the function.
    """

    name: str
    pickled: bytes
    buffers: list[memoryview]
    on_begin: Callable[[], None] | None = None


class WorkerTask(asyncio.Future[T]):
    """The future of a call, and the pickled call itself until it is done.

    Counts as work outside of the loop until it is done. A cancellation goes on to the worker at once.
    """

    def __init__(self, call: PackedCall, *, owner: TaskOwner, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop=loop)
        self.name, self.pickled, self.buffers, self.on_begin = call
        # A false alarm only makes the worker import the main module for nothing.
        self.kind = Kind.CALL_WITH_MAIN if NAMES_MAIN in call.pickled else Kind.CALL
        self.recalled = False
        self.cancel_grace: float | None = None  # that of the pool
        self._is_gone = False
        self._gone: asyncio.Future[None] | None = None
        self.context = copy_context()
        self._owner = owner
        outside_work.count += 1

    def cancel(self, msg: Any | None = None) -> bool:
        """Cancel the task: taken back if it has not begun, interrupted if it has."""
        if not super().cancel(msg):
            return False
        self._let_go()
        self._owner.on_cancel(self)
        return True

    def begin(self) -> None:
        """Note that a worker has loaded it and begins with its function."""
        if self.on_begin is not None:
            self.on_begin()

    def leave(self) -> None:
        """Note that no worker has anything of a cancelled task any more."""
        self._is_gone = True
        if self._gone is not None and not self._gone.done():
            self._gone.set_result(None)

    async def until_gone(self) -> None:
        """Wait until no worker has anything of a cancelled task any more; one waits at a time."""
        if not self._is_gone:
            self._gone = self.get_loop().create_future()
            await self._gone

    def answer(self, message: Message) -> bool:
        """Finish with what the worker said; return whether that was a result."""
        if self.done():
            self.leave()
            return message.kind == Kind.RESULT
        try:
            if message.kind == Kind.RESULT:
                result: T = message.unpickle()
                self.succeed(result)
                return True
            error = unpickle_error(message)
        except Exception as cause:  # noqa: BLE001  # supervisor: the caller gets it
            error = ResultNotPicklableError(task=self.name, kind="value", reason=str(cause))
            error.__cause__ = cause
        self.fail(error)
        return False

    def succeed(self, result: T) -> None:
        """Finish with a result, unless it is done."""
        if not self.done():
            self._let_go()
            self.set_result(result)

    def fail(self, error: BaseException) -> None:
        """Finish with an error, unless it is done."""
        if not self.done():
            self._let_go()
            self.set_exception(error)

    def _let_go(self) -> None:
        outside_work.count -= 1
        self.pickled, self.buffers = b"", []


def unpickle_error(message: Message) -> BaseException:
    """Return the exception that a worker sent, with its traceback there as a note."""
    error: BaseException
    error, note = message.unpickle()
    error.add_note(note)
    return error


def pack_call(
    function: Callable[..., object],
    args: tuple[object, ...],
    kwargs: dict[str, Any],
    on_begin: Callable[[], None] | None = None,
) -> PackedCall:
    """Pickle a call.

    Raises:
        TaskNotPicklableError: it says which part cannot travel.
    """
    try:
        pickled, buffers = _pickle((function, args, kwargs))
    except _NOT_PICKLABLE as error:
        raise TaskNotPicklableError(what=_culprit(function, args, kwargs), reason=str(error)) from error
    if message_bytes(pickled, buffers) > MAX_MESSAGE_BYTES:
        raise TaskNotPicklableError(what=f"the arguments of {task_name(function)}", reason="4 GiB is the limit")
    return PackedCall(task_name(function), pickled, buffers, on_begin)


def _pickle(value: object) -> tuple[bytes, list[memoryview]]:
    """Pickle by reference, which is three times as fast; by value, if cloudpickle is here, what has no name to import.

    That is lambdas and closures, and all that was typed at a prompt or into a notebook.
    """
    try:
        by_reference = pickle_out_of_band(value)
    except _NOT_PICKLABLE:
        if find_spec("cloudpickle") is None:
            raise
    else:
        if NAMES_MAIN not in by_reference[0] or describe_main() is not None or find_spec("cloudpickle") is None:
            return by_reference
    cloudpickle: Any = load_extra("cloudpickle", feature="sending lambdas", extra="dataflow")
    buffers: list[pickle.PickleBuffer] = []
    pickled: bytes = cloudpickle.dumps(value, protocol=5, buffer_callback=buffers.append)
    return pickled, [buffer.raw() for buffer in buffers]


def _culprit(function: Callable[..., object], args: tuple[object, ...], kwargs: dict[str, object]) -> str:
    """Name the first part of a call that cannot be pickled."""
    name = task_name(function)
    named = [(f"argument {n} of {name}", value) for n, value in enumerate(args, 1)]
    named += [(f"argument {key}= of {name}", value) for key, value in kwargs.items()]
    for what, value in [(f"the function {name}", function), *named]:
        try:
            _pickle(value)
        except _NOT_PICKLABLE:
            return what
    return f"the call of {name}"
