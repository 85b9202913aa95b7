"""Errors of floor 2 (concurrency): threads, worker processes, children."""

import asyncio

from mainspring.errors._base import ClosedError
from mainspring.errors._root import MainspringError


class WorkQueueFullError(MainspringError, RuntimeError):
    """As much work waits in a pool as it may hold."""

    what: str
    limit: int

    def __init__(self, *, what: str, limit: int, hint: str | None = None) -> None:
        super().__init__(f"{limit} calls wait in {what}, which is its limit", hint=hint, what=what, limit=limit)


class CoroutineFunctionError(MainspringError, TypeError):
    """A decorator for blocking functions was given a coroutine function."""

    function: str

    def __init__(self, *, function: str) -> None:
        super().__init__(
            f"{function} is a coroutine function and needs no thread",
            hint="await it as it is, or decorate a plain function",
            function=function,
        )


class ChannelClosed(MainspringError, RuntimeError):
    """Nothing can be put into the channel any more, or nothing is left to get."""

    def __init__(self) -> None:
        super().__init__("the channel is closed")


class ChannelTimeout(MainspringError, TimeoutError):
    """A channel had no room, or no item, in time."""

    action: str
    seconds: float

    def __init__(self, *, action: str, seconds: float) -> None:
        super().__init__(f"{action}() on the channel took longer than {seconds:g} s", action=action, seconds=seconds)


class ResultNotSetError(MainspringError, RuntimeError):
    """An aggregated function ended without a result for this call."""

    function: str

    def __init__(self, *, function: str) -> None:
        super().__init__(
            f"{function} ended without a result for this call",
            hint="return one result per argument, in order, or resolve every future",
            function=function,
        )


class StrategyException(MainspringError):
    """What a strategy raises to steer its recurring callback; of itself it ends it."""


class StrategyStop(StrategyException):
    """A strategy raises it: the recurring callback ends."""

    def __init__(self) -> None:
        super().__init__("the strategy says stop")


class StrategySkip(StrategyException):
    """A strategy raises it: no call this time, ask again after `delay` seconds."""

    delay: float

    def __init__(self, delay: float) -> None:
        super().__init__(f"the strategy says skip, and wait {delay!r} s", delay=delay)


class CallbackNotStartedError(MainspringError, RuntimeError):
    """A recurring callback was stopped that does not run."""

    def __init__(self) -> None:
        super().__init__("the callback was not started", hint="call start() first")


class CallbackRunningError(MainspringError, asyncio.InvalidStateError, RuntimeError):
    """A recurring callback was started that runs already."""

    callback: str

    def __init__(self, *, callback: str) -> None:
        super().__init__(f"{callback} runs already", hint="await stop() first, or make another", callback=callback)


class TaskManagerClosedError(ClosedError):
    """The task manager has run to its end and takes no more tasks."""

    def __init__(self, *, task: str) -> None:
        super().__init__(what=f"the TaskManager that should start {task}", hint="make another manager")


class UnknownRunnerError(MainspringError, KeyError):
    """A task is none of a ForeverLoop's."""

    task: str

    def __init__(self, *, task: str) -> None:
        super().__init__(f"{task} belongs to no runner of this ForeverLoop", task=task)


class UnsafeAddressError(MainspringError, ValueError):
    """An address was refused because whoever reaches it could run code here."""

    address: str

    def __init__(self, *, address: str) -> None:
        super().__init__(
            f"{address} is not on this machine and not encrypted, and Dask runs pickles from whoever connects",
            hint="use a tls:// address with security=, or say insecure=True",
            address=address,
        )


class ChildStartError(MainspringError, RuntimeError):
    """A child process could not be started, or ended before it was ready."""

    child: str
    reason: str

    def __init__(self, *, child: str, reason: str, hint: str | None = None) -> None:
        super().__init__(f"{child} did not start: {reason}", hint=hint, child=child, reason=reason)


class WorkerCrashedError(MainspringError, RuntimeError):
    """A worker process died while it ran this task; the task may have done part of its work.

    Attributes:
        pid: the process that died.
        exit_code: what it exited with; None when a signal ended it or nobody could tell.
        signal: the name of the signal that ended it, as "SIGKILL"; None when none did.
    """

    task: str
    pid: int
    exit_code: int | None
    signal: str | None

    def __init__(self, *, task: str, pid: int, exit_code: int | None, signal: str | None) -> None:
        how = f"was ended by {signal}" if signal else f"exited with {exit_code}"
        if signal is None and exit_code is None:
            how = "died, nobody knows how"
        hint = "the kernel sends SIGKILL when memory runs out" if signal == "SIGKILL" else None
        super().__init__(
            f"worker process {pid} {how} while it ran {task}",
            hint=hint,
            task=task,
            pid=pid,
            exit_code=exit_code,
            signal=signal,
        )


class WorkerPoolClosedError(ClosedError):
    """The worker pool was closed before the task was done."""

    def __init__(self, *, hint: str | None = None) -> None:
        super().__init__(what="this WorkerPool", hint=hint)


class TaskNotPicklableError(MainspringError, TypeError):
    """A function or one of its arguments cannot travel to another process; nothing was sent."""

    what: str
    reason: str

    def __init__(self, *, what: str, reason: str) -> None:
        super().__init__(
            f"{what} cannot be sent to another process: {reason}",
            hint="send functions that a module defines at its top level, and plain data; lambdas and closures "
            'travel with pip install "mainspring[dataflow]"',
            what=what,
            reason=reason,
        )


class MainImportError(MainspringError, RuntimeError):
    """A worker could not import the program's main module, where it looks for the functions that it is sent.

    Attributes:
        kind: the class of what the module raised.
        reason: what that said, on one line.
    """

    kind: str
    reason: str

    def __init__(self, *, kind: str, reason: str) -> None:
        line = " ".join(reason.split())
        super().__init__(
            f"a worker process could not import the program's main module: {kind}: {line}",
            hint='put what starts the program under `if __name__ == "__main__":`; worker processes import the module '
            "to find its functions",
            kind=kind,
            reason=line,
        )


class ResultNotPicklableError(MainspringError, TypeError):
    """A task was done, but its result cannot travel back; the work has happened."""

    task: str
    kind: str
    reason: str

    def __init__(self, *, task: str, kind: str, reason: str) -> None:
        super().__init__(
            f"{task} returned a {kind} that cannot be sent back: {reason}",
            hint="send a plain function instead of a coroutine function"
            if kind == "coroutine"
            else "return plain data",
            task=task,
            kind=kind,
            reason=reason,
        )


class RemoteTaskError(MainspringError, RuntimeError):
    """A task failed in another process with an exception that cannot be raised here as itself."""

    task: str
    kind: str
    reason: str

    def __init__(self, *, task: str, kind: str, reason: str) -> None:
        super().__init__(f"{task} raised {kind}: {reason}", task=task, kind=kind, reason=reason)
