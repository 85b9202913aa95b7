"""How long to wait between attempts: a pure description, shared by retries, clients, services and jobs."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal, Self

from mainspring.base._clock import current_clock
from mainspring.base._random import current_random
from mainspring.errors import InvalidArgumentError

Jitter = Literal["none", "full", "decorrelated"]
"""How chance spreads the delays: not at all, over [0, delay], or by a walk that forgets its start."""

_JITTERS: Final = ("none", "full", "decorrelated")
_DECORRELATED_FACTOR: Final = 3.0


@dataclass(frozen=True, slots=True, init=False)
class Backoff:
    """The delays between attempts: constant or exponential, capped, with or without jitter.

    Iterating gives one delay in seconds after each failed attempt and ends when no further attempt is
    allowed; each iteration starts afresh. The description itself has no state, may be shared by threads and
    loops, and survives pickle.

    Args:
        initial: seconds after the first attempt, >= 0.
        factor: growth from one delay to the next, >= 1.
        maximum: longest delay in seconds, >= initial.
        jitter: "none", "full" (uniform over [0, delay]) or "decorrelated" (uniform over [initial, 3 * last]).
        max_tries: attempts in all, the first included; None for no limit.
        deadline: seconds from the start of the iteration after which no attempt starts; None for no limit.

    Raises:
        InvalidArgumentError: an argument is outside its range.

    Example:
        >>> list(Backoff(1.0, maximum=5.0, max_tries=5))
        [1.0, 2.0, 4.0, 5.0]

    Source: M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
    """

    initial: float
    factor: float
    maximum: float
    jitter: Jitter
    max_tries: int | None
    deadline: float | None

    def __init__(
        self,
        initial: float = 0.5,
        *,
        factor: float = 2.0,
        maximum: float = 30.0,
        jitter: Jitter = "none",
        max_tries: int | None = None,
        deadline: float | None = None,
    ) -> None:
        _check_number("initial", initial, at_least=0.0)
        _check_number("factor", factor, at_least=1.0)
        _check_number("maximum", maximum, at_least=initial)
        if deadline is not None:
            _check_number("deadline", deadline, at_least=0.0)
        if jitter not in _JITTERS:
            raise InvalidArgumentError(argument="jitter", value=jitter, expected=f"one of {_JITTERS}")
        if max_tries is not None and (type(max_tries) is not int or max_tries < 1):
            raise InvalidArgumentError(argument="max_tries", value=max_tries, expected="an int >= 1, or None")
        values = (float(initial), float(factor), float(maximum), jitter, max_tries, deadline)
        for field, value in zip(self.__slots__, values, strict=True):
            object.__setattr__(self, field, value)

    @classmethod
    def constant(cls, delay: float, *, max_tries: int | None = None) -> Self:
        """Return a Backoff whose every delay is `delay` seconds."""
        _check_number("delay", delay, at_least=0.0)
        return cls(delay, factor=1.0, maximum=delay, max_tries=max_tries)

    def __iter__(self) -> Iterator[float]:
        return self.delays()

    def delays(self) -> Iterator[float]:
        """Yield the seconds to wait after the first, second, ... failed attempt.

        Ends after `max_tries` - 1 delays, and before a delay that would end after `deadline`. Against the
        deadline counts whichever is longer: the time that the clock measured, or the sum of the delays.
        """
        started = current_clock().monotonic()
        given = 0.0
        delay = self.initial
        attempt = 1
        while self.max_tries is None or attempt < self.max_tries:
            delay = self._after(delay) if self.jitter == "decorrelated" else self.delay(attempt)
            given += delay
            if self.deadline is not None:
                spent = max(current_clock().monotonic() - started + delay, given)
                if spent > self.deadline:
                    return
            yield delay
            attempt += 1

    def delay(self, attempt: int) -> float:
        """Return the seconds to wait after attempt number `attempt` (from 1) failed.

        Needs no memory of the delays before, so that a retry may be planned by a process that never saw
        them. `max_tries` and `deadline` play no part. With decorrelated jitter the delay is drawn from the
        whole range that the walk could have reached.

        Raises:
            InvalidArgumentError: `attempt` is below 1.
        """
        if attempt < 1:
            raise InvalidArgumentError(argument="attempt", value=attempt, expected="an int >= 1")
        if self.jitter == "decorrelated":
            return current_random().uniform(self.initial, self._grown(_DECORRELATED_FACTOR, attempt))
        grown = self._grown(self.factor, attempt - 1)
        return current_random().uniform(0.0, grown) if self.jitter == "full" else grown

    def _grown(self, factor: float, steps: int) -> float:
        try:
            return min(self.maximum, self.initial * factor**steps)
        except OverflowError:
            return self.maximum if self.initial else 0.0

    def _after(self, last: float) -> float:
        return current_random().uniform(self.initial, min(self.maximum, last * _DECORRELATED_FACTOR))


def _check_number(argument: str, value: object, *, at_least: float) -> None:
    if not isinstance(value, int | float) or not math.isfinite(value) or value < at_least:
        raise InvalidArgumentError(argument=argument, value=value, expected=f"a finite number >= {at_least}")
