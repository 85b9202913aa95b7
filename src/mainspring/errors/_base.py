"""Errors of floor 1 (base), and those that every room shares."""

from collections.abc import Iterable

from mainspring.errors._root import MainspringError
from mainspring.errors._words import did_you_mean, shown


class InvalidArgumentError(MainspringError, ValueError):
    """An argument is outside what the callee accepts; raised at once, by constructors and calls.

    The hint is the one of the `known` words that is most like `value`, else `hint`.
    """

    argument: str
    value: object
    expected: str

    def __init__(
        self, *, argument: str, value: object, expected: str, hint: str | None = None, known: Iterable[str] = ()
    ) -> None:
        super().__init__(
            f"{argument}={shown(value)} is not accepted: expected {expected}",
            hint=did_you_mean(value, known) or hint,
            argument=argument,
            value=value,
            expected=expected,
        )


class ClosedError(MainspringError, RuntimeError):
    """The object was closed, before the call or while it waited."""

    what: str

    def __init__(self, *, what: str, hint: str | None = None) -> None:
        super().__init__(f"{what} is closed", hint=hint, what=what)


class MissingExtraError(MainspringError, ImportError):
    """A feature needs an optional dependency that is not installed."""

    feature: str
    module: str
    extra: str

    def __init__(self, *, feature: str, module: str, extra: str, hint: str | None = None) -> None:
        super().__init__(
            f"{feature} needs the module {module!r}, which is not installed",
            hint=hint or f'pip install "mainspring[{extra}]"',
            feature=feature,
            module=module,
            extra=extra,
        )


class EncodeError(MainspringError, TypeError):
    """A value has no form in the format asked for."""

    format: str
    type: str
    reason: str

    def __init__(self, *, format: str, type: str, reason: str) -> None:
        super().__init__(
            f"a value of type {type} has no {format} form: {reason}", format=format, type=type, reason=reason
        )


class DecodeError(MainspringError, ValueError):
    """Data is not of the format it claims, or does not fit the type asked for."""

    format: str
    reason: str

    def __init__(self, *, format: str, reason: str) -> None:
        super().__init__(f"the data is not the {format} that was expected: {reason}", format=format, reason=reason)


class FrameTooLargeError(MainspringError, ValueError):
    """A frame is longer than the limit of this side."""

    size: int
    max_bytes: int

    def __init__(self, *, size: int, max_bytes: int, hint: str | None = None) -> None:
        super().__init__(
            f"a frame of {size} bytes is over the limit of {max_bytes}",
            hint=hint or "raise max_bytes on both sides, or send less in one piece",
            size=size,
            max_bytes=max_bytes,
        )
