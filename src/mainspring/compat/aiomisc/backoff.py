"""`aiomisc.backoff`: the decorators, and the same rules as an object."""

from collections.abc import Callable, Coroutine, Iterable
from typing import Any, Generic, ParamSpec, TypeVar  # Any: what a coroutine and its loop exchange

from mainspring.errors import MisuseError
from mainspring.resilience import BackoffRules, BackoffStatistic, RetryStatistic, asyncbackoff, asyncretry

__all__ = ("Backoff", "BackoffExecution", "BackoffStatistic", "RetryStatistic", "asyncbackoff", "asyncretry")

P = ParamSpec("P")
R = TypeVar("R")


class Backoff:
    """The rules of `asyncbackoff`, to decorate functions with or to execute calls under."""

    def __init__(
        self,
        attempt_timeout: float | None,
        deadline: float | None,
        pause: float = 0,
        exceptions: Iterable[type[Exception]] = (),
        max_tries: int | None = None,
        giveup: Callable[[Exception], bool] | None = None,
        statistic_name: str | None = None,
        statistic_class: type[BackoffStatistic] = BackoffStatistic,
    ) -> None:
        self.statistic = statistic_class(statistic_name)
        self._rules = BackoffRules(attempt_timeout, deadline, pause, exceptions, max_tries, giveup, self.statistic)

    def __call__(self, function: Callable[P, Coroutine[Any, Any, R]]) -> Callable[P, Coroutine[Any, Any, R]]:
        return self._rules.decorate(function)

    def prepare(self, function: Callable[P, Coroutine[Any, Any, R]]) -> "BackoffExecution[P, R]":
        """Return an execution of `function`, good for one call."""
        return BackoffExecution(function, self._rules)

    async def execute(self, function: Callable[P, Coroutine[Any, Any, R]], /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call `function` under the rules."""
        return await self._rules.decorate(function)(*args, **kwargs)


class BackoffExecution(Generic[P, R]):
    """One call under the rules: how often it was tried, and what it failed with last."""

    def __init__(self, function: Callable[P, Coroutine[Any, Any, R]], rules: BackoffRules) -> None:
        self.function = function
        self.last_exception: Exception | None = None
        self.total_tries = 0
        self._started = False
        self._call = rules.decorate(self._attempt, on_failure=self._note)

    async def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call the function under the rules, once.

        Raises:
            MisuseError: (a RuntimeError) it was called before.
        """
        if self._started:
            raise MisuseError(what="this execution", problem="was called before", hint="prepare() another one")
        self._started = True
        try:
            return await self._call(*args, **kwargs)
        except Exception as error:
            self.last_exception = error
            raise

    async def _attempt(self, *args: P.args, **kwargs: P.kwargs) -> R:
        self.total_tries += 1
        return await self.function(*args, **kwargs)

    def _note(self, error: Exception) -> None:
        self.last_exception = error
