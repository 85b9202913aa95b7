"""A rate says what happened in the last few seconds."""

from mainspring.dataflow._meter import Meter


def test_a_rate_is_over_the_last_seconds() -> None:
    meter = Meter(100.0)
    assert 0.0 == meter.rate(at=100.0)
    for second in range(101, 121):
        meter.add(50, at=second)
    assert 50.0 == meter.rate(at=120.0)
    assert 20.0 == meter.rate(at=123.5)
    assert 0.0 == meter.rate(at=1000.0)


def test_at_the_beginning_it_is_over_what_there_is() -> None:
    meter = Meter(100.0)
    meter.add(50, at=100.1)
    assert 100.0 == meter.rate(at=100.1)
    assert 25.0 == meter.rate(at=102.0)


def test_what_does_not_happen_takes_no_room() -> None:
    meter = Meter(0.0)
    for tenth in range(1000):
        meter.add(tenth % 2, at=tenth / 10)
    assert 25 == len(meter._counts)
