"""Waiting for a condition in a test, by asking again."""

import asyncio
import inspect
from collections.abc import Callable, Coroutine
from typing import Any, Final, TypeVar, overload  # Any: what the predicate answers, T to its caller

from mainspring.errors import InvalidArgumentError, NeverHappenedError

T = TypeVar("T")

_SHORTEST_PAUSE: Final = 0.001
_LONGEST_PAUSE: Final = 0.05


@overload
async def eventually(predicate: Callable[[], Coroutine[Any, Any, T]], *, within: float = 5.0) -> T: ...
@overload
async def eventually(predicate: Callable[[], T], *, within: float = 5.0) -> T: ...
async def eventually(predicate: Callable[[], Any], *, within: float = 5.0) -> Any:
    """Ask `predicate` until its answer is true; return that answer.

    Asks at once, and then ever less often, at least every 50 ms. Errors of the predicate go up.

    Args:
        predicate: a function without arguments, plain or async.
        within: seconds of the running loop's time.

    Raises:
        NeverHappenedError: the answer stayed false; the sentence shows the last one.
        InvalidArgumentError: `within` is not above 0.

    Example:
        >>> asyncio.run(eventually(lambda: [1, 2], within=1.0))
        [1, 2]
    """
    if not within > 0:
        raise InvalidArgumentError(argument="within", value=within, expected="seconds above 0")
    last: object = "no answer yet"
    pause = _SHORTEST_PAUSE
    limit = asyncio.timeout(within)  # noqa: TID251  # what measures others stands alone
    try:
        async with limit:
            while True:
                given = predicate()
                answer = await given if inspect.isawaitable(given) else given
                if answer:
                    return answer
                last = answer
                await asyncio.sleep(pause)
                pause = min(pause * 2, _LONGEST_PAUSE)
    except TimeoutError as error:
        if not limit.expired():
            raise  # the predicate's own
        what = getattr(predicate, "__qualname__", repr(predicate))
        raise NeverHappenedError(what=what, within=within, last=last) from error
