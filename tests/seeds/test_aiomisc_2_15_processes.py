"""Chapters 2.15 and 2.17 of the aiomisc seed: processes. The programs are run as files, with a __main__ guard."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image
from tests.meta.support_tree import SRC

POOL = """
import asyncio
import time
import os
from mainspring.compat.aiomisc import ProcessPoolExecutor

def process_inner():
    for _ in range(10):
        print(os.getpid(), flush=True)
        time.sleep(0.01)

    return os.getpid()


async def main():
    loop = asyncio.get_event_loop()
    print(
        await asyncio.gather(
            loop.run_in_executor(process_pool, process_inner),
            loop.run_in_executor(process_pool, process_inner),
            loop.run_in_executor(process_pool, process_inner),
            loop.run_in_executor(process_pool, process_inner),
        )
    )

if __name__ == "__main__":
    loop = asyncio.new_event_loop()
    process_pool = ProcessPoolExecutor(4)
    loop.run_until_complete(main())
"""

THUMBNAILS = """
import asyncio
import sys
from multiprocessing import cpu_count
from typing import Tuple
from pathlib import Path
from PIL import Image
from mainspring.compat.aiomisc import entrypoint, WorkerPool


def thumbnail(src_path: str, dest_path: str, box: Tuple[int, int]):
    img = Image.open(src_path)
    img.thumbnail(box)
    img.save(
        dest_path, "JPEG", quality=65,
        optimize=True,
        icc_profile=img.info.get('icc_profile'),
        exif=img.info.get('exif', b''),
    )
    return img.size


sizes = [
    (1024, 1024),
    (512, 512),
    (256, 256),
    (128, 128),
    (64, 64),
    (32, 32),
]


async def amain(path: Path):
    for size in sizes:
        size_dir = "x".join(map(str, size))
        size_path = (path / 'thumbnails' / size_dir)
        size_path.mkdir(parents=True, exist_ok=True)

    async with WorkerPool(cpu_count()) as pool:
        tasks = []
        for image in path.iterdir():
            if not image.name.endswith(".jpg"):
                continue

            if image.is_relative_to(path / 'thumbnails'):
                continue

            for size in sizes:
                rel_path = image.relative_to(path).parent
                size_dir = "x".join(map(str, size))
                dest_path = (
                    path / rel_path /
                    'thumbnails' / size_dir /
                    image.name
                )

                tasks.append(
                    pool.create_task(
                        thumbnail,
                        str(image),
                        str(dest_path),
                        size
                    )
                )

        await asyncio.gather(*tasks)


if __name__ == '__main__':
    with entrypoint() as loop:
        image_dir = Path(sys.argv[1])
        loop.run_until_complete(amain(image_dir))
"""


def run(program: str, folder: Path, *arguments: str) -> str:
    script = folder / "program.py"
    script.write_text(program)
    environment = {**os.environ, "PYTHONPATH": str(SRC)}
    command = [sys.executable, str(script), *arguments]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=55, check=False)
    assert 0 == done.returncode, done.stderr
    return done.stdout


def test_2_15_process_pool(tmp_path: Path) -> None:
    said = run(POOL, tmp_path)
    pids = said.splitlines()[-1].strip("[]").split(", ")
    assert 4 == len(pids)
    assert all(said.count(pid) >= 11 for pid in pids)


def test_2_17_thumbnails_of_real_pictures(tmp_path: Path) -> None:
    """In the original this example fails: its workers do not know the functions of the main module."""
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    for number in range(3):
        Image.new("RGB", (2000, 1000), (number * 80, 90, 90)).save(pictures / f"{number}.jpg")
    run(THUMBNAILS, tmp_path, str(pictures))
    for side in (1024, 512, 256, 128, 64, 32):
        for number in range(3):
            with Image.open(pictures / "thumbnails" / f"{side}x{side}" / f"{number}.jpg") as image:
                assert (side, side // 2) == image.size


@pytest.mark.parametrize("name", ["WorkerPool", "ProcessPoolExecutor"])
def test_the_modules_are_where_they_were(name: str) -> None:
    from mainspring.compat import aiomisc
    from mainspring.compat.aiomisc import process_pool, worker_pool

    assert getattr(aiomisc, name) in (getattr(process_pool, name, None), getattr(worker_pool, name, None))
