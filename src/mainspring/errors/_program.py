"""Errors of floor 5: runtime (a program's start, run and stop) and sinks."""

from mainspring.errors._root import MainspringError


class SinkError(MainspringError):
    """Root of what sinks raise."""


class UnroutedItemError(SinkError, TypeError):
    """No sink takes items of this type; the item was not accepted and nothing of it was written."""

    def __init__(self, *, item_type: str, registered: tuple[str, ...] = ()) -> None:
        known = ", ".join(registered) or "no type at all"
        super().__init__(
            f"no sink takes items of type {item_type}; registered: {known}",
            hint="register a sink for the type or one of its bases, or give the job a sink of its own (sink=)",
            item_type=item_type,
            registered=registered,
        )


class UnknownSinkError(SinkError, LookupError):
    """An item was addressed to a sink that does not exist."""

    def __init__(self, *, sink: str, known: tuple[str, ...] = ()) -> None:
        super().__init__(
            f"there is no sink {sink!r}",
            hint=f"known sinks: {', '.join(known)}" if known else "no sink is registered",
            sink=sink,
            known=known,
        )


class InvalidItemError(SinkError, ValueError):
    """A sink cannot take this item as it is; the item was not accepted and nothing of it was written."""

    def __init__(self, *, sink: str, reason: str, hint: str | None = None) -> None:
        super().__init__(f"sink {sink!r} cannot take the item: {reason}", hint=hint, sink=sink, reason=reason)


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


class TableSchemaError(SinkError, ValueError):
    """The table of a sink is not there, or does not fit the rows."""

    def __init__(self, *, table: str, reason: str, hint: str | None = None) -> None:
        super().__init__(f"table {table!r} {reason}", hint=hint, table=table, reason=reason)
