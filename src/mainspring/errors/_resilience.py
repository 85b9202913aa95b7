"""Errors of floor 3 (resilience): limits of time, rate and number, and the breaker's refusal."""

from mainspring.errors._root import MainspringError


class DeadlineExceededError(MainspringError, TimeoutError):
    """A call or a block did not end within its time limit, and was cancelled."""

    what: str
    timeout: float

    def __init__(self, *, what: str, timeout: float) -> None:
        super().__init__(f"{what} did not end within {timeout:g} s", what=what, timeout=timeout)


class CircuitBroken(MainspringError, RuntimeError):
    """A circuit breaker refused the call: what it protects failed too often.

    Attributes:
        retry_after: seconds for which a further call is sure to be refused.
        last_exception: the failure seen last, or None; it stays behind when the error is pickled.
    """

    retry_after: float
    last_exception: BaseException | None = None

    def __init__(self, *, retry_after: float, last_exception: BaseException | None = None) -> None:
        because = "" if last_exception is None else f", last failure: {last_exception!r}"
        super().__init__(
            f"the circuit is broken, calls are refused for {retry_after:.3g} s{because}",
            retry_after=retry_after,
        )
        self.last_exception = last_exception


class LimitTimeoutError(MainspringError, TimeoutError):
    """A limiter did not admit the caller within its timeout."""

    waited: float
    waiting: int

    def __init__(self, *, waited: float, waiting: int) -> None:
        super().__init__(
            f"the limiter did not admit the call within {waited:g} s, {waiting} others are waiting",
            hint="raise timeout=, or ask for fewer calls than the limit admits",
            waited=waited,
            waiting=waiting,
        )


class LimiterUnavailableError(MainspringError, ConnectionError):
    """The server that keeps the count of a limiter cannot be asked."""

    bucket: str
    reason: str

    def __init__(self, *, bucket: str, reason: str) -> None:
        super().__init__(
            f"the limit {bucket!r} cannot be asked: {reason}",
            hint='start the server, or choose on_error="allow" or "local" to go on without it',
            bucket=bucket,
            reason=reason,
        )


class PoolExhaustedError(MainspringError, TimeoutError):
    """Every instance of a pool stayed in use for the whole timeout."""

    limit: int
    waited: float

    def __init__(self, *, limit: int, waited: float) -> None:
        super().__init__(
            f"all {limit} instances of the pool stayed in use for {waited:g} s",
            hint="raise maxsize=, or look for a borrower that keeps its instance too long",
            limit=limit,
            waited=waited,
        )


class TooManyWaitersError(MainspringError, RuntimeError):
    """The line of waiting callers is full; the call was refused at once."""

    what: str
    limit: int

    def __init__(self, *, what: str, limit: int) -> None:
        super().__init__(
            f"{limit} callers wait for {what} already",
            hint="raise max_waiters=, or start fewer calls at a time",
            what=what,
            limit=limit,
        )


class MisuseError(MainspringError, RuntimeError):
    """An object was used in a way in which it cannot work."""

    what: str
    problem: str

    def __init__(self, *, what: str, problem: str, hint: str | None = None) -> None:
        super().__init__(f"{what} {problem}", hint=hint, what=what, problem=problem)


class NotCoroutineFunctionError(MainspringError, TypeError):
    """Something that works on coroutine functions was given something else."""

    what: str
    function: str

    def __init__(self, *, what: str, function: str) -> None:
        super().__init__(
            f"{what} works on coroutine functions, and {function} is none",
            hint="write `async def`, or call the blocking function through `threaded`",
            what=what,
            function=function,
        )
