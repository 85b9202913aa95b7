"""The buffers of a file, where a plain file does not tell what is right."""

import gc
import io
import os
import threading
from array import array
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any  # Any: text or bytes

import pytest

from mainspring.errors import InvalidArgumentError
from mainspring.storage._file_kernel import FileKernel


def text_file(file: Path | int, mode: str = "r") -> IO[Any]:
    return open(file, mode, encoding="utf-8")


def test_what_is_in_memory_needs_no_file(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("one\ntwo\nthree")
    kernel = FileKernel[str](text_file(tmp_path / "a"))
    assert kernel.try_readline() is None
    assert "one\n" == kernel.readline()
    assert "two\n" == kernel.try_readline()
    assert kernel.try_readline() is None
    assert "thr" == kernel.try_read(3)
    assert kernel.try_read(3) is None
    assert kernel.try_read(-1) is None
    assert "ee" == kernel.read(3)
    kernel.close()
    assert kernel.closed
    assert kernel.try_read(0) is None


def test_writes_are_gathered(tmp_path: Path) -> None:
    kernel = FileKernel[str](text_file(tmp_path / "a", "w"), write_behind=10)
    assert 4 == kernel.try_write("four")
    assert b"" == (tmp_path / "a").read_bytes()
    assert kernel.try_write("too much") is None
    assert 8 == kernel.write("too much")
    kernel.flush()
    assert "fourtoo much" == (tmp_path / "a").read_text()
    kernel.close()
    kernel.close()
    assert kernel.try_write("x") is None


def test_a_file_that_is_dropped_is_written(tmp_path: Path) -> None:
    with text_file(tmp_path / "a", "w") as fp:
        kernel = FileKernel[str](fp)
        kernel.write("kept")
        del kernel
        gc.collect()
    assert "kept" == (tmp_path / "a").read_text()


def test_a_failing_write_closes_the_file_all_the_same(tmp_path: Path) -> None:
    kernel = FileKernel[bytes](io.FileIO("/dev/full", "w"))
    kernel.write(b"data")
    with pytest.raises(OSError, match="No space"):
        kernel.close()
    assert kernel.closed


def test_one_way_files_say_so(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    reader = FileKernel[str](text_file(tmp_path / "a"))
    writer = FileKernel[str](text_file(tmp_path / "a", "w"))
    with pytest.raises(io.UnsupportedOperation):
        reader.write("x")
    with pytest.raises(io.UnsupportedOperation):
        reader.truncate()
    with pytest.raises(io.UnsupportedOperation):
        writer.read()
    with pytest.raises(io.UnsupportedOperation):
        writer.readline()
    with pytest.raises(io.UnsupportedOperation):
        reader.seek(1, io.SEEK_CUR)
    assert 0 == reader.seek(0, io.SEEK_CUR)
    reader.close()
    writer.close()


def test_what_is_wrong_leaves_what_waits_as_it_is(tmp_path: Path) -> None:
    """A wrong item was found out when all was written, and took what was right with it."""
    for kind, good, wrong in (("w", "good", ["\udc80", "\u0100", 5, None, b"x"]), ("wb", b"good", [5, None, "x", [1]])):
        fp = open(tmp_path / "a", kind, encoding=None if "b" in kind else "latin-1")  # noqa: SIM115  # closed below
        kernel = FileKernel[Any](fp)
        kernel.write(good)
        for one in wrong:
            calls: list[tuple[Callable[[Any], object], Any]] = [(kernel.try_write, one), (kernel.writelines, [one])]
            for call, item in [*calls, (kernel.write, one)]:
                with pytest.raises((InvalidArgumentError, UnicodeEncodeError)):
                    call(item)
        kernel.write(good)
        kernel.close()
        assert b"goodgood" == (tmp_path / "a").read_bytes()


def test_buffers_may_be_used_again_at_once(tmp_path: Path) -> None:
    kernel = FileKernel[Any](open(tmp_path / "a", "wb"))  # noqa: SIM115  # closed below
    for write in (kernel.write, kernel.try_write):
        for text in (b"one", b"two"):
            buffer = bytearray(text)
            assert 3 == write(buffer)
            assert 3 == write(memoryview(buffer))
            buffer[:] = b"XXX"
    assert 8 == kernel.write(array("I", [1, 2]))
    kernel.close()
    assert b"oneonetwotwo" * 2 + array("I", [1, 2]).tobytes() == (tmp_path / "a").read_bytes()


def test_text_and_bytes_are_not_mixed(tmp_path: Path) -> None:
    kernel = FileKernel[str](text_file(tmp_path / "a", "w"))
    for write in (kernel.try_write, kernel.write):
        with pytest.raises(InvalidArgumentError, match="str"):
            write(b"x")  # type: ignore[arg-type]  # that is the point
    kernel.close()
    with pytest.raises(ValueError, match="closed"):
        kernel.write("x")


@pytest.mark.parametrize("text", [False, True])
def test_a_pipe_is_read_as_it_comes(text: bool) -> None:
    """Whoever waits for a line must not wait for mebibytes."""
    reading, writing = os.pipe()
    kernel = FileKernel[Any](text_file(reading) if text else io.BufferedReader(io.FileIO(reading)))
    os.write(writing, b"one\n")
    lines: list[object] = []
    thread = threading.Thread(target=lambda: lines.append(kernel.readline()))
    thread.start()
    thread.join(timeout=20)
    assert lines == ["one\n" if text else b"one\n"]
    os.close(writing)
    assert not kernel.read(5)
    kernel.close()
