"""Signals call their receivers in order, with what each of them takes."""

import pytest

from mainspring.errors import MisuseError
from mainspring.runtime import Signal, receiver


async def test_receivers_run_in_order_with_the_keywords_they_take() -> None:
    calls: list[object] = []
    signal = Signal()

    @receiver(signal)
    async def one(entrypoint: object) -> None:
        calls.append(("one", entrypoint))

    @receiver(signal)
    async def both(*, entrypoint: object, services: object) -> None:
        calls.append(("both", entrypoint, services))

    @receiver(signal)
    async def anything(**kwargs: object) -> None:
        calls.append(("anything", sorted(kwargs)))

    await signal.call(entrypoint=1, services=2)
    assert [("one", 1), ("both", 1, 2), ("anything", ["entrypoint", "services"])] == calls
    signal.disconnect(one)
    signal.disconnect(one)
    assert 2 == len(signal)


async def test_a_frozen_signal_refuses_changes_and_its_copy_does_not() -> None:
    async def nothing() -> None: ...

    signal = Signal()
    signal.connect(nothing)
    signal.freeze()
    assert signal.is_frozen
    for change in (signal.connect, signal.disconnect):
        with pytest.raises(MisuseError, match="frozen"):
            change(nothing)
    copied = signal.copy()
    copied.disconnect(nothing)
    assert "frozen receivers=1" in repr(signal)
    assert "<Signal receivers=0>" == repr(copied)


def test_a_plain_function_is_refused() -> None:
    with pytest.raises(MisuseError, match="no coroutine function"):
        Signal().connect(print)  # type: ignore[type-var]  # pyright: ignore[reportArgumentType]
