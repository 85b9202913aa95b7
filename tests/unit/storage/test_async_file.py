"""Files that do not block the loop: the seed's calls, side by side, cancelled, and what was wrong before."""

import asyncio
import gc
import io
import os
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any  # Any: what may be no option

import pytest

from mainspring.errors import InvalidArgumentError
from mainspring.storage import AsyncBinaryIO, AsyncTextIO, Compression, async_open


async def test_text_is_written_and_read_back(tmp_path: Path) -> None:
    async with async_open(tmp_path / "a", "w+", encoding="utf-8") as file:
        assert isinstance(file, AsyncTextIO)
        assert [5, 1, 5] == [await file.write(word) for word in ("Hello", " ", "wörld")]
        await file.writelines(["\n", "two\n", "three"])
        await file.seek(0)
        assert "Hello wörld\n" == await file.readline()
        assert ["two\n", "three"] == await file.readlines()
        assert "" == await file.read()
        assert 0 == await file.seek(0)
        assert "Hel" == await file.read(3)
        assert "lo" == await file.readline(2)
        assert 5 == await file.tell()
        await file.flush()
        assert 5 == await file.truncate()
        assert "" == await file.read(None)
    assert "Hello" == (tmp_path / "a").read_text()


async def test_bytes_are_written_and_read_back(tmp_path: Path) -> None:
    file = await async_open(str(tmp_path / "a"), "wb+")
    assert isinstance(file, AsyncBinaryIO)
    await file.write(b"a\nb\nc")
    assert 3 == await file.seek(-2, io.SEEK_CUR)
    assert b"\nc" == await file.read()
    await file.seek(0)
    assert [b"a\n", b"b\n", b"c"] == [line async for line in file]
    await file.close()


async def test_it_is_not_opened_before_it_is_awaited(tmp_path: Path) -> None:
    file = async_open(tmp_path / "missing", "rb")
    assert "not open" in repr(file)
    with pytest.raises(RuntimeError, match="not opened"):
        file.fp  # noqa: B018
    with pytest.raises(RuntimeError, match="not opened"):
        await file.read()
    with pytest.raises(FileNotFoundError):
        await file.open()
    del file
    gc.collect()  # a file that was never opened goes without a word


async def test_opening_twice_opens_once(tmp_path: Path) -> None:
    file = async_open(tmp_path / "a", "w")
    await asyncio.gather(file.open(), file.open())
    below = file.fp
    await file.open()
    async with file:
        assert below is file.fp
    assert file.closed()
    assert "closed" in repr(file)
    await file.close()
    with pytest.raises(ValueError, match="closed"):
        await file.write("x")


async def test_facts_of_a_file(tmp_path: Path) -> None:
    async with async_open(tmp_path / "a", "w", encoding="latin-1", errors="replace") as file:
        assert (str(tmp_path / "a"), "w") == (file.name, file.mode)
        assert (False, True, True) == (await file.readable(), await file.writable(), await file.seekable())
        assert (False, False) == (file.closed(), file.isatty())
        assert os.fstat(file.fileno()).st_size == 0
        facts = (file.encoding, file.errors, file.newlines, file.line_buffering)
        assert ("latin-1", "replace", None, False) == (facts[0].lower(), *facts[1:])
        below = file.buffer()
        await below.write(b"bytes")
        await below.flush()
    assert b"bytes" == (tmp_path / "a").read_bytes()


async def test_a_descriptor_and_an_open_file_may_be_given(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("one\ntwo\n")
    descriptor = os.open(tmp_path / "a", os.O_RDONLY)
    async with async_open(descriptor) as file:
        assert descriptor == file.name
        assert "one\n" == await file.readline()
    async with AsyncTextIO.open_fp((tmp_path / "a").open()) as wrapped:
        assert str(tmp_path / "a") == wrapped.name
        assert "one\ntwo\n" == await wrapped.read()
    async with AsyncTextIO.open_fp(io.StringIO("memory")) as memory:
        assert "memory" == await memory.read()


async def test_lines_go_to_one_of_many_iterators_each(tmp_path: Path) -> None:
    lines = [f"line {number}\n" for number in range(1000)]
    (tmp_path / "a").write_text("".join(lines))
    seen: list[str] = []

    async def work() -> None:
        async for line in file:
            seen.append(line)
            await asyncio.sleep(0)

    async with async_open(tmp_path / "a") as file:
        await asyncio.gather(*(work() for _ in range(5)))
    assert sorted(lines) == sorted(seen)


async def test_reads_side_by_side_keep_their_order(tmp_path: Path) -> None:
    data = bytes(range(256)) * 8192
    (tmp_path / "a").write_bytes(data)
    async with async_open(tmp_path / "a", "rb") as file:
        parts = await asyncio.gather(*(file.read(65_536) for _ in range(40)))
    assert data == b"".join(parts)


async def test_writes_side_by_side_keep_their_order(tmp_path: Path) -> None:
    async with async_open(tmp_path / "a", "w") as file:
        await asyncio.gather(*(file.write(f"{number}," * 2000) for number in range(100)))
    assert "".join(f"{number}," * 2000 for number in range(100)) == (tmp_path / "a").read_text()


class AtOnce(Executor):
    """Does a call before it returns, and then something else, which finds it done and not yet told."""

    def __init__(self) -> None:
        self.then: Callable[[], object] = list

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> "Future[Any]":
        done: Future[Any] = Future()
        done.set_result(fn(*args, **kwargs))
        self.then()
        return done


async def _enter(file: AsyncTextIO) -> None:
    async with file:
        pass


async def _wait(file: AsyncTextIO) -> None:
    assert file is await file


@pytest.mark.parametrize("wait", [_enter, _wait])
@pytest.mark.parametrize("is_done", [False, True])
async def test_a_file_whose_opening_was_cancelled_is_closed(
    wait: Callable[[AsyncTextIO], Coroutine[Any, Any, None]], is_done: bool, tmp_path: Path
) -> None:
    free = threading.Event()
    with ThreadPoolExecutor(1) as threads:
        threads.submit(free.wait, 30)
        at_once = AtOnce()
        file = async_open(tmp_path / "a", "w", executor=at_once if is_done else threads)
        task = asyncio.create_task(wait(file))
        at_once.then = task.cancel
        await asyncio.sleep(0)
        if not is_done:
            task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        free.set()
        await asyncio.get_running_loop().run_in_executor(threads, int)  # comes after it
        assert file.closed()
        await file.open()  # another try
        assert not file.closed()
        await file.close()


async def test_a_cancelled_read_loses_nothing(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("one\ntwo\n")
    async with async_open(tmp_path / "a") as file:
        task = asyncio.ensure_future(file.read(2))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        # the call was begun and is finished: the position is after what it read
        assert "e\n" == await file.readline()


async def test_a_failure_that_nobody_waits_for_is_quiet(tmp_path: Path) -> None:
    async with async_open(tmp_path / "a", "w") as file:
        task = asyncio.ensure_future(file.read())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        with pytest.raises(io.UnsupportedOperation):
            await file.read()
    gc.collect()


async def test_every_call_runs_in_the_executor_that_was_given(tmp_path: Path) -> None:
    names: list[str] = []

    class Watched(io.StringIO):
        def read(self, size: int | None = -1, /) -> str:
            names.append(threading.current_thread().name)
            return super().read(size)

        def close(self) -> None:
            names.append(threading.current_thread().name)
            super().close()

    with ThreadPoolExecutor(1, thread_name_prefix="given") as pool:
        async with AsyncTextIO.open_fp(Watched("data"), executor=pool) as file:
            await file.read(2)
        async with async_open(tmp_path / "a", "w", executor=pool) as other:
            await other.write("x")
    assert {"given_0"} == set(names)
    assert len(names) >= 2


async def test_files_are_equal_to_themselves_only(tmp_path: Path) -> None:
    one, two = async_open(tmp_path / "a"), async_open(tmp_path / "a")
    assert one == one
    assert one != two
    assert 2 == len({one, two})


async def test_unknown_attributes_are_errors(tmp_path: Path) -> None:
    with pytest.raises(AttributeError):
        async_open(tmp_path / "a").no_such_name  # type: ignore[attr-defined]  # noqa: B018  # that is the point


def test_bytes_have_no_encoding(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgumentError, match="encoding"):
        async_open(str(tmp_path / "a"), "rb" + "", encoding="utf-8")


@pytest.mark.parametrize(
    ("argument", "options"),
    [
        *(("mode", {"mode": mode}) for mode in ("", "q", "rw", "b", "rr", "rbt", "r++", "rU", None, 5)),
        *(("compression", {"compression": one}) for one in ("zip", None, 5)),
        ("encoding", {"encoding": "nope"}),
        ("encoding", {"encoding": "a\0"}),
        ("errors", {"errors": "nope"}),
        ("newline", {"newline": "x"}),
        ("errors", {"mode": "wb", "errors": "strict"}),
        ("newline", {"mode": "wb", "newline": ""}),
    ],
)
def test_what_no_file_can_be_opened_with_is_refused_at_once(
    tmp_path: Path, argument: str, options: dict[str, Any]
) -> None:
    with pytest.raises(InvalidArgumentError, match=f"^{argument}="):
        async_open(tmp_path / "a", **options)
    assert [] == list(tmp_path.iterdir())


STANDARD = [Compression.GZIP, Compression.BZ2, Compression.LZMA]


@pytest.mark.parametrize("compression", STANDARD)
async def test_compressed_text_is_small_and_comes_back(tmp_path: Path, compression: Compression) -> None:
    async with async_open(tmp_path / "a", "w+", compression=compression) as file:
        for _ in range(10_000):
            await file.write("Hello World\n")
        with pytest.raises(io.UnsupportedOperation):
            await file.read()
    assert (tmp_path / "a").stat().st_size < 10_000
    async with async_open(tmp_path / "a", "r+", compression=compression) as again:
        assert ["Hello World\n"] * 10_000 == [line async for line in again]
        with pytest.raises(io.UnsupportedOperation):
            await again.write("x")


@pytest.mark.parametrize("compression", STANDARD)
async def test_compressed_bytes_come_back(tmp_path: Path, compression: Compression) -> None:
    data = os.urandom(10_000) * 200
    async with async_open(tmp_path / "a", "wb", compression=compression) as file:
        for start in range(0, len(data), 70_000):
            await file.write(data[start : start + 70_000])
    async with async_open(tmp_path / "a", "rb", compression=compression) as again:
        parts = [await again.read(65_536) for _ in range(len(data) // 65_536 + 2)]
        assert data == b"".join(parts)
        assert 10 == await again.seek(10)
        assert data[10:20] == await again.read(10)
