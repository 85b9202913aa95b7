"""Blocking calls in threads."""

import threading

import pytest

from mainspring.base import outside_work
from mainspring.storage._thread_calls import in_thread


async def test_a_call_runs_in_another_thread_and_is_told_to_virtual_clocks() -> None:
    before = outside_work.count
    here = threading.current_thread()
    assert (False, before + 1) == await in_thread(lambda: (threading.current_thread() is here, outside_work.count))
    with pytest.raises(ZeroDivisionError):
        await in_thread(lambda: 1 // 0)
    assert before == outside_work.count
