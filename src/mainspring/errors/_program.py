"""Errors of floor 5: runtime (a program's start, run and stop) and sinks."""

from collections.abc import Sequence

from mainspring.errors._root import MainspringError


class SinkError(MainspringError):
    """Root of what sinks raise."""


class SinkWriteError(SinkError, RuntimeError):
    """A sink did not accept items of this run; the cause is what the last try raised."""

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


class UnknownSinkError(SinkError, LookupError):
    """An item was addressed to a sink that does not exist."""

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
