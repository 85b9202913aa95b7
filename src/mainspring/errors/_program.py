"""Errors of floor 5: runtime (a program's start, run and stop) and sinks."""

from collections.abc import Sequence
from typing import Final

from mainspring.errors._root import MainspringError


class SinkError(MainspringError):
    """Root of what sinks raise."""


class SinkWriteError(SinkError, RuntimeError):
    """A sink did not accept items of this run; the cause is what the last try raised."""

    sink: str
    items: int
    reason: str

    def __init__(self, *, sink: str, items: int, reason: str, hint: str | None = None) -> None:
        super().__init__(
            f"sink {sink!r} could not write {items} item{'' if items == 1 else 's'}: {reason}",
            hint=hint,
            sink=sink,
            items=items,
            reason=reason,
        )


class ResourceError(MainspringError, RuntimeError):
    """A resource could not be made, acquired, left or closed; the cause says why."""

    resource: str
    action: str
    reason: str

    def __init__(self, *, resource: str, action: str, reason: str, hint: str | None = None) -> None:
        super().__init__(
            f"resource {resource!r} could not be {action}: {reason}",
            hint=hint,
            resource=resource,
            action=action,
            reason=reason,
        )


class UnknownResourceError(MainspringError, LookupError):
    """A parameter has no default, and nothing says what to inject for it."""

    parameter: str
    function: str
    known: tuple[str, ...]

    def __init__(self, *, parameter: str, function: str, known: Sequence[str], hint: str | None = None) -> None:
        names = ", ".join(known) or "nothing"
        super().__init__(
            f"parameter {parameter!r} of {function} cannot be supplied: known are {names}",
            hint=hint,
            parameter=parameter,
            function=function,
            known=tuple(known),
        )


class CycleError(MainspringError, ValueError):
    """Things that need one another form a circle, so that none of them can be first."""

    what: str
    cycle: Sequence[str]

    def __init__(self, *, what: str, cycle: Sequence[str]) -> None:
        super().__init__(
            f"{what} need one another in a circle: {' -> '.join(cycle)}",
            hint="break the circle: pass one of them in by hand, or merge them",
            what=what,
            cycle=tuple(cycle),
        )


class InvalidItemError(SinkError, ValueError):
    """A sink cannot take this item as it is; nothing of its run was written."""

    sink: str
    reason: str

    def __init__(self, *, sink: str, reason: str, hint: str | None = None) -> None:
        super().__init__(f"sink {sink!r} cannot take the item: {reason}", hint=hint, sink=sink, reason=reason)


class TableSchemaError(SinkError, ValueError):
    """The table of a sink is not there, or does not fit the rows."""

    table: str
    reason: str

    def __init__(self, *, table: str, reason: str, hint: str | None = None) -> None:
        super().__init__(f"table {table!r} {reason}", hint=hint, table=table, reason=reason)


class SpoolFullError(SinkError, RuntimeError):
    """The spool has no room for more items; nothing of this batch was kept."""

    folder: str
    size: int
    max_bytes: int

    def __init__(self, *, folder: str, size: int, max_bytes: int) -> None:
        super().__init__(
            f"the spool {folder} is full: it holds {size} of at most {max_bytes} bytes, and these do not fit",
            hint="look at why its sink fails, replay or drop its dead letters, or raise max_bytes=",
            folder=folder,
            size=size,
            max_bytes=max_bytes,
        )


class UnknownSinkError(SinkError, LookupError):
    """An item was addressed to a sink that does not exist, or such a one is to be overridden."""

    sink: str
    known: tuple[str, ...]

    def __init__(self, *, sink: str, known: tuple[str, ...] = ()) -> None:
        super().__init__(
            f"there is no sink {sink!r}",
            hint=f"known sinks: {', '.join(known)}" if known else "no sink is registered",
            sink=sink,
            known=known,
        )


class UnroutedItemError(SinkError, TypeError):
    """No sink takes items of this type; the item was not accepted and nothing of it was written."""

    item_type: str
    registered: tuple[str, ...]

    def __init__(self, *, item_type: str, registered: tuple[str, ...] = ()) -> None:
        known = ", ".join(registered) or "no type at all"
        super().__init__(
            f"no sink takes items of type {item_type}; registered: {known}",
            hint="register a sink for the type or one of its bases, or give the job a sink of its own (sink=)",
            item_type=item_type,
            registered=registered,
        )


_NOT_READY: Final = {"start": "; a start() that is the work itself calls self.start_event.set() when it is ready"}


class ServiceTimeoutError(MainspringError, TimeoutError):
    """A service did not start or stop within its own time limit."""

    service: str
    action: str
    timeout: float

    def __init__(self, *, service: str, action: str, timeout: float) -> None:
        super().__init__(
            f"service {service} did not {action} within {timeout:g} s",
            hint=f"raise its {action}_timeout, or look for what it waits for" + _NOT_READY.get(action, ""),
            service=service,
            action=action,
            timeout=timeout,
        )


class ShutdownTimeoutError(MainspringError, TimeoutError):
    """The program did not stop within `shutdown_timeout`; what still ran was abandoned."""

    timeout: float
    services: Sequence[str]

    def __init__(self, *, timeout: float, services: Sequence[str]) -> None:
        waited = ", ".join(services) or "tasks that ignore their cancellation"
        super().__init__(
            f"the program did not stop within {timeout:g} s; still there: {waited}",
            hint="bound the work in stop(), or raise shutdown_timeout=",
            timeout=timeout,
            services=tuple(services),
        )


class UnreachableProgramError(MainspringError, ConnectionError):
    """No program answered at the socket where it is asked for its health, or operated."""

    socket: str
    reason: str

    def __init__(
        self, *, socket: str, reason: str, hint: str = "is it running, with the service HealthSocket(path=...)?"
    ) -> None:
        super().__init__(
            f"no program answers at {socket}: {reason}",
            hint=hint,
            socket=socket,
            reason=reason,
        )


class SignalReceivedError(MainspringError, RuntimeError):
    """Why services stop when the program got a signal; passed to their `stop()`."""

    signal: str

    def __init__(self, *, signal: str) -> None:
        super().__init__("Interrupt signal received", signal=signal)


class NoEntrypointError(MainspringError, RuntimeError):
    """`entrypoint.get_current()` was called where no program runs."""

    def __init__(self) -> None:
        super().__init__("no current entrypoint is set", hint="call it inside `with entrypoint(...)` or `run(...)`")
