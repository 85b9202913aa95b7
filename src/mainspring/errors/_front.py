"""Errors of floors 7 to 9: web, testing, command line, demo."""

from collections.abc import Sequence

from mainspring.errors._root import MainspringError


class NeverHappenedError(MainspringError, AssertionError):
    """What a test waited for did not happen in its time."""

    what: str
    within: float
    last: object

    def __init__(self, *, what: str, within: float, last: object, hint: str | None = None) -> None:
        super().__init__(
            f"{what} did not happen within {within:g} s; last seen: {last!r}",
            hint=hint,
            what=what,
            within=within,
            last=last,
        )


class LeakError(MainspringError, AssertionError):
    """A test left something behind: tasks, threads, descriptors or child processes."""

    test: str
    leaks: Sequence[str]

    def __init__(self, *, test: str, leaks: Sequence[str]) -> None:
        listed = "".join(f"\n  {leak}" for leak in leaks)
        super().__init__(
            f"{test} left behind:{listed}",
            hint="close, cancel and await, join or wait for it before the test ends",
            test=test,
            leaks=tuple(leaks),
        )


class VirtualClockError(MainspringError, RuntimeError):
    """Virtual time cannot go on: something outside of the loop runs in real time."""

    reason: str

    def __init__(self, *, reason: str, hint: str) -> None:
        super().__init__(f"virtual time cannot go on: {reason}", hint=hint, reason=reason)


class AirlineRefusedError(MainspringError, ConnectionError):
    """The demo's API answered with something else than flights."""

    status: int
    retry_after: float

    def __init__(self, *, status: int, retry_after: float) -> None:
        super().__init__(f"the airline answered with status {status}", status=status, retry_after=retry_after)


class UnsafeFileError(MainspringError, PermissionError):
    """A file that holds a secret can be read by others, or belongs to somebody else."""

    file: str
    mode: int
    owner: int

    def __init__(self, *, file: str, mode: int, owner: int) -> None:
        super().__init__(
            f"{file} holds a secret and is not for its owner alone (mode {mode:o}, owner {owner})",
            hint=f"chmod 600 {file}, or remove it to have another one made",
            file=file,
            mode=mode,
            owner=owner,
        )
