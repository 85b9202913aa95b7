"""Errors of floor 1 (base), and those that every room shares."""

from mainspring.errors._root import MainspringError


class InvalidArgumentError(MainspringError, ValueError):
    """An argument is outside what the callee accepts; raised at once, by constructors and calls."""

    def __init__(self, *, argument: str, value: object, expected: str, hint: str | None = None) -> None:
        super().__init__(
            f"{argument}={value!r} is not accepted: expected {expected}",
            hint=hint,
            argument=argument,
            value=value,
            expected=expected,
        )


class ClosedError(MainspringError, RuntimeError):
    """The object was closed, before the call or while it waited."""

    def __init__(self, *, what: str, hint: str | None = None) -> None:
        super().__init__(f"{what} is closed", hint=hint, what=what)


class MissingExtraError(MainspringError, ImportError):
    """A feature needs an optional dependency that is not installed."""

    def __init__(self, *, feature: str, module: str, extra: str) -> None:
        super().__init__(
            f"{feature} needs the module {module!r}, which is not installed",
            hint=f'pip install "mainspring[{extra}]"',
            feature=feature,
            module=module,
            extra=extra,
        )
