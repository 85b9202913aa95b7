"""A block lives as long as its maker keeps it, and no longer."""

import os

import pytest

from mainspring.concurrency._shared_block import SharedBlock, read_block, share_buffers


def test_what_was_read_is_a_copy() -> None:
    block = SharedBlock(memoryview(b"abc"))
    opened = read_block(bytes(block.name))
    block.close()
    assert b"abc" == bytes(opened)
    opened[0] = 65
    assert b"Abc" == bytes(opened)


def test_a_block_whose_maker_let_go_cannot_be_read() -> None:
    block = SharedBlock(memoryview(b"abc"))
    block.close()
    with pytest.raises(OSError, match="No such file"):
        read_block(bytes(block.name))


def test_only_large_buffers_become_blocks() -> None:
    small, large = memoryview(b"a"), memoryview(b"abc")
    assert ([small, large], []) == share_buffers([small, large], None)
    mixed, blocks = share_buffers([small, large], 2)
    assert [small, *blocks] == mixed
    assert 1 == len(blocks)
    blocks[0].close()


def test_a_block_that_cannot_be_filled_is_no_block(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> int:
        raise OSError("no memory")

    monkeypatch.setattr(os, "write", refuse)
    content = memoryview(b"abc")
    assert ([content], []) == share_buffers([content], 1)
