"""A directory of answers as one loop sees it."""

import asyncio
import gc
import weakref
from pathlib import Path

from mainspring.storage._fetch_file import Answer
from mainspring.storage._fetch_folder import folder_of


def answer(length: int) -> Answer:
    return Answer("url", 0.0, length)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


async def test_levels_survive_another_bound(tmp_path: Path) -> None:
    folder = folder_of(tmp_path)
    assert folder is folder_of(tmp_path)
    await folder.know()
    for name in ("a", "b", "c"):
        await folder.store(f"{name}.fetched", answer(100), b"x" * 100, max_bytes=10_000)
    for _ in range(3):
        folder.touch("a.fetched", 150)
    await folder.store("d.fetched", answer(100), b"x" * 100, max_bytes=700)
    assert ["a.fetched", "c.fetched", "d.fetched"] == names(tmp_path)


async def test_what_lies_there_is_counted(tmp_path: Path) -> None:
    (tmp_path / "old.fetched").write_bytes(b"x" * 500)
    folder = folder_of(tmp_path)
    await asyncio.gather(folder.know(), folder.know())
    await folder.store("new.fetched", answer(100), b"x" * 100, max_bytes=500)
    assert ["new.fetched"] == names(tmp_path)


def test_a_loop_that_has_ended_is_forgotten(tmp_path: Path) -> None:
    loops: list[weakref.ref[asyncio.AbstractEventLoop]] = []

    async def main() -> None:
        loops.append(weakref.ref(asyncio.get_running_loop()))
        await folder_of(tmp_path).know()

    asyncio.run(main())
    gc.collect()
    assert loops[0]() is None
