"""The errors of resilience say what happened, are what the standard library calls them, and travel."""

import copy
import pickle

import pytest

from mainspring.errors import (
    CircuitBroken,
    DeadlineExceededError,
    LimitTimeoutError,
    MainspringError,
    MisuseError,
    NotCoroutineFunctionError,
    PoolExhaustedError,
    TooManyWaitersError,
)

ERRORS: list[tuple[MainspringError, type[Exception], str]] = [
    (DeadlineExceededError(what="fetch()", timeout=2.5), TimeoutError, "fetch() did not end within 2.5 s"),
    (
        CircuitBroken(retry_after=3.0, last_exception=OSError("down")),
        RuntimeError,
        "the circuit is broken, calls are refused for 3 s, last failure: OSError('down')",
    ),
    (CircuitBroken(retry_after=0.5), RuntimeError, "the circuit is broken, calls are refused for 0.5 s"),
    (
        LimitTimeoutError(waited=2.0, waiting=3),
        TimeoutError,
        "the limiter did not admit the call within 2 s, 3 others are waiting",
    ),
    (
        PoolExhaustedError(limit=10, waited=5.0),
        TimeoutError,
        "all 10 instances of the pool stayed in use for 5 s",
    ),
    (TooManyWaitersError(what="the pool", limit=7), RuntimeError, "7 callers wait for the pool already"),
    (MisuseError(what="this", problem="is wrong", hint="do that"), RuntimeError, "this is wrong"),
    (
        NotCoroutineFunctionError(what="retry", function="f"),
        TypeError,
        "retry works on coroutine functions, and f is none",
    ),
]


@pytest.mark.parametrize(("error", "kind", "text"), ERRORS)
def test_text_kind_and_travel(error: MainspringError, kind: type[Exception], text: str) -> None:
    assert isinstance(error, kind)
    for twin in (error, copy.copy(error), pickle.loads(pickle.dumps(error))):
        assert str(twin) == text
        assert twin.hint == error.hint
        assert twin._facts == error._facts
