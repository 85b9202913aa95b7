"""What a worker notes is read elsewhere, even when the worker is gone."""

import os
import sys

import pytest

from mainspring.concurrency._child_main import Descriptor
from mainspring.concurrency._worker_ledger import Ledger


def test_each_slot_keeps_its_own_number() -> None:
    with Ledger(3) as ledger:
        ledger.note(0, 5)
        ledger.note(2, 1 << 40)
        assert [5, 0, 1 << 40] == [ledger.last(slot) for slot in range(3)]


def test_a_copy_in_another_process_shares_the_memory() -> None:
    with Ledger(1) as ledger:
        sent = ledger.__getstate__()
        assert isinstance(sent, Descriptor)
        with Ledger.__new__(Ledger) as copy:
            copy.__setstate__(Descriptor(os.dup(sent.fd)))
            copy.note(0, 9)
        assert ledger.last(0) == 9


def test_a_file_serves_where_memory_has_no_descriptor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    with Ledger(1) as ledger:
        ledger.note(0, 3)
        assert ledger.last(0) == 3


def test_no_room_leaves_no_descriptor_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(descriptor: int, size: int) -> None:
        raise OSError(28, "no space left on device")

    monkeypatch.setattr(os, "ftruncate", refuse)
    before = os.listdir("/proc/self/fd")
    with pytest.raises(OSError, match="no space"):
        Ledger(1)
    assert before == os.listdir("/proc/self/fd")
