"""Statistics are plain attributes that anyone can list while their owners live."""

import gc
import threading

from mainspring.base import Statistic, get_statistics


class _Pool(Statistic):
    done: int
    sum_time: float
    _hidden: int
    label: str


class _NamedPool(_Pool):
    threads: int = 4


def test_metrics_are_the_public_numbers_of_all_bases_and_start_at_their_default() -> None:
    statistic = _NamedPool("io")
    assert _NamedPool.metrics == ("done", "sum_time", "threads")
    assert (statistic.done, statistic.sum_time, statistic.threads) == (0, 0, 4)
    assert repr(statistic) == "<_NamedPool name='io' done=0 sum_time=0 threads=4>"


def test_reading_shows_assignments_and_additions() -> None:
    statistic = _Pool("writes")
    statistic.done += 2
    statistic.sum_time = 0.5
    rows = [(name, metric, value) for kind, name, metric, value in get_statistics(_Pool) if kind is _Pool]
    assert rows == [("writes", "done", 2), ("writes", "sum_time", 0.5)]


class _Queue(Statistic):
    put: int
    got: int

    @property
    def size(self) -> int:
        return self.put - self.got


def test_a_public_property_is_told_from_the_others_when_it_is_read() -> None:
    statistic = _Queue("mail")
    statistic.put += 3
    statistic.got += 1
    assert {"put": 3, "got": 1, "size": 2} == {each.metric: each.value for each in get_statistics(_Queue)}
    assert "<_Queue name='mail' put=3 got=1 size=2>" == repr(statistic)


def test_kinds_select_with_their_subclasses_and_none_selects_all() -> None:
    base, special = _Pool("a"), _NamedPool("b")
    assert {base.name, special.name} == {result.name for result in get_statistics(_Pool)}
    assert {special.name} == {result.name for result in get_statistics(_NamedPool)}
    assert {_Pool, _NamedPool} <= {result.kind for result in get_statistics()}


def test_a_dead_owner_takes_its_statistic_along() -> None:
    statistic = _Pool("short")
    walk = get_statistics(_Pool)
    next(walk)
    del statistic, walk
    gc.collect()
    assert list(get_statistics(_Pool)) == []


def test_a_statistic_that_dies_while_others_are_read_is_left_out() -> None:
    kept = [_Pool(str(number)) for number in range(2)]
    walk = get_statistics(_Pool)
    next(walk)
    del kept[1]
    gc.collect()
    assert {"0"} == {result.name for result in walk}


def test_reading_is_safe_while_threads_make_and_drop_statistics() -> None:
    def churn() -> None:
        for number in range(500):
            _Pool(str(number)).done += 1

    threads = [threading.Thread(target=churn) for _ in range(4)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        list(get_statistics(_Pool))
    assert list(get_statistics(_Pool)) == []
