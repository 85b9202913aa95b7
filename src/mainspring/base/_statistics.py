"""One registry of live counters: written by hot paths as plain attributes, read by anyone."""

import inspect
import weakref
from collections.abc import Iterator
from typing import Any, ClassVar, NamedTuple  # Any: arguments for cooperating base classes

_live: dict[int, "weakref.ref[Statistic]"] = {}


class Statistic:
    """Base of the counters of one object; subclasses declare them as annotations of type int or float.

    Each public annotation of a subclass is a metric that starts at 0. The owner updates it with `=` or `+=`
    and keeps the statistic alive; when the owner goes, so do its counters. An update costs what writing an
    attribute costs. `+=` of a number that is at hand (not of what a call returns) switches no thread on CPython
    with its lock, so counts from several threads are exact there. A public property is a metric too, told from
    the others when it is read.

    Args:
        name: what `get_statistics()` shows beside the kind; None when there is only one.

    Example:
        >>> class CacheStatistic(Statistic):
        ...     hits: int
        >>> statistic = CacheStatistic("pages")
        >>> statistic.hits += 1
        >>> [(result.name, result.metric, result.value) for result in get_statistics(CacheStatistic)]
        [('pages', 'hits', 1)]
    """

    metrics: ClassVar[tuple[str, ...]] = ()
    name: str | None

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        declared = [name for name, kind in inspect.get_annotations(cls).items() if _is_metric(name, kind)]
        derived = [name for name, value in vars(cls).items() if isinstance(value, property) and name[0] != "_"]
        cls.metrics = tuple(dict.fromkeys((*cls.metrics, *declared, *derived)))

    def __init__(self, name: str | None = None) -> None:
        self.name = name
        for metric in self.metrics:
            start = getattr(type(self), metric, 0)
            if not isinstance(start, property):
                setattr(self, metric, start)
        key = id(self)
        # The callback may run in any thread and at any moment: popping from a dict is one step.
        _live[key] = weakref.ref(self, lambda _: _live.pop(key, None))

    def __repr__(self) -> str:
        values = " ".join(f"{metric}={getattr(self, metric)}" for metric in self.metrics)
        return f"<{type(self).__name__} name={self.name!r} {values}>"


class StatisticResult(NamedTuple):
    """One metric of one live statistic, as it was when it was read."""

    kind: type[Statistic]
    name: str | None
    metric: str
    value: int | float


def get_statistics(*kinds: type[Statistic]) -> Iterator[StatisticResult]:
    """Yield every metric of every live statistic, oldest statistic first. Safe from any thread.

    Args:
        kinds: only statistics of these classes and their subclasses; all when none is given.
    """
    for reference in list(_live.values()):
        statistic = reference()
        if statistic is None or (kinds and not isinstance(statistic, kinds)):
            continue
        for metric in statistic.metrics:
            yield StatisticResult(type(statistic), statistic.name, metric, getattr(statistic, metric))


def _is_metric(name: str, annotation: object) -> bool:
    return not name.startswith("_") and annotation in (int, float, "int", "float")
