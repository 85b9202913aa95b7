"""What functions that are called again and again have done, counted by name.

Callbacks of one function share their counters: a program may have 100 000 of them.
"""

import weakref

from mainspring.base import Statistic


class RecurringCallbackStatistic(Statistic):
    """What the recurring callbacks of one name did: calls begun, ended well, failed, and their seconds."""

    call_count: int
    done: int
    fail: int
    sum_time: float


_by_name: "weakref.WeakValueDictionary[str, RecurringCallbackStatistic]" = weakref.WeakValueDictionary()


def counts_of(name: str) -> RecurringCallbackStatistic:
    """Return the counters of that name; the callers keep them alive."""
    counts = _by_name.get(name)
    if counts is None:
        counts = _by_name[name] = RecurringCallbackStatistic(name)
    return counts
