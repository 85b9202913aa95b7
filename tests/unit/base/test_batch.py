"""The batch kernel cuts by count, bytes and age, keeps the order and loses nothing."""

import pytest

from mainspring.base import BatchKernel
from mainspring.errors import InvalidArgumentError


def test_the_item_that_reaches_the_count_completes_the_batch() -> None:
    kernel = BatchKernel[int](max_count=2)
    assert list(kernel.add(1, now=0.0)) == []
    assert list(kernel.add(2, now=0.0)) == [[1, 2]]
    assert len(kernel) == 0


def test_bytes_are_never_exceeded_by_a_batch_of_several() -> None:
    kernel = BatchKernel[str](max_count=10, max_bytes=10)
    assert list(kernel.add("a", now=0.0, size=6)) == []
    assert list(kernel.add("b", now=0.0, size=6)) == [["a"]]
    assert list(kernel.add("c", now=0.0, size=4)) == [["b", "c"]]


def test_an_item_larger_than_the_bound_travels_alone() -> None:
    kernel = BatchKernel[str](max_count=10, max_bytes=10)
    kernel.add("small", now=0.0, size=1)
    assert list(kernel.add("large", now=0.0, size=99)) == [["small"], ["large"]]


def test_age_counts_from_the_first_item_of_the_batch() -> None:
    kernel = BatchKernel[int](max_count=10, max_seconds=0.5)
    kernel.add(1, now=10.0)
    kernel.add(2, now=10.4)
    assert kernel.due_at == 10.5
    assert list(kernel.poll(10.49)) == []
    assert list(kernel.poll(10.5)) == [[1, 2]]
    assert kernel.due_at is None


def test_age_counts_anew_for_an_item_that_did_not_fit() -> None:
    kernel = BatchKernel[int](max_count=10, max_bytes=10, max_seconds=0.5)
    kernel.add(1, now=1.0, size=6)
    assert list(kernel.add(2, now=2.0, size=6)) == [[1]]
    assert kernel.due_at == 2.5


def test_without_max_seconds_nothing_is_ever_due() -> None:
    kernel = BatchKernel[int](max_count=10, max_bytes=10)
    kernel.add(1, now=0.0, size=6)
    kernel.add(2, now=0.0, size=6)
    assert kernel.due_at is None
    assert list(kernel.poll(1e9)) == []


def test_cut_takes_what_is_there() -> None:
    kernel = BatchKernel[int](max_count=10)
    kernel.add(1, now=0.0)
    assert list(kernel.cut()) == [[1]]
    assert list(kernel.cut()) == []


@pytest.mark.parametrize(
    "bounds",
    [
        {"max_count": 0},
        {"max_count": 1, "max_bytes": 0},
        {"max_count": 1, "max_seconds": -1.0},
        {"max_count": 1, "max_seconds": float("nan")},
    ],
)
def test_a_bound_outside_its_range_is_refused(bounds: dict[str, float]) -> None:
    with pytest.raises(InvalidArgumentError):
        BatchKernel[int](**bounds)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
