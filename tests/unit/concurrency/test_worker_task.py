"""A call that cannot travel is refused before it is queued, in words that say which part."""

import pytest

from mainspring.concurrency import _worker_task
from mainspring.concurrency._worker_task import pack_call
from mainspring.errors import TaskNotPicklableError


def nothing_found(name: str) -> None:
    """Stand for a search in an environment without cloudpickle."""


class OnlyTogether:
    """Can be pickled, but only while nothing was pickled before it: a caller's own rule."""

    allowed = True

    def __reduce__(self) -> tuple[type, tuple[()]]:
        if not OnlyTogether.allowed:
            OnlyTogether.allowed = True
            raise TypeError("not now")
        return OnlyTogether, ()


def test_arguments_above_the_limit_of_a_message_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_worker_task, "MAX_MESSAGE_BYTES", 1000)
    pack_call(len, (b"x" * 100,), {})
    with pytest.raises(TaskNotPicklableError, match="4 GiB is the limit"):
        pack_call(len, (b"x" * 1000,), {})


def test_when_each_part_alone_could_travel_the_call_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_worker_task, "find_spec", nothing_found)
    OnlyTogether.allowed = False
    with pytest.raises(TaskNotPicklableError, match=r"the call of .*len"):
        pack_call(len, (OnlyTogether(),), {})
