"""Thumbnails of all JPEG files of a folder, made by worker processes.

pip install Pillow
python examples/thumbnails.py [FOLDER]

Without a folder it draws a few pictures first. Workers get file names instead of pictures: what travels between
processes should be small.
"""

import asyncio
import sys
from pathlib import Path

from PIL import Image

from mainspring import WorkerPool

SIZES = (256, 64, 16)


def draw(path: Path, shade: int) -> None:
    """Write a picture to have something to work on."""
    Image.new("RGB", (640, 480), (shade, 120, 255 - shade)).save(path)


def thumbnail(source: Path, target: Path, size: int) -> tuple[int, int]:
    """Write a smaller copy of a picture; runs in a worker."""
    with Image.open(source) as image:
        image.thumbnail((size, size))
        image.save(target, "JPEG", quality=65, optimize=True)
        return image.size


def prepare(folder: Path) -> list[Path]:
    """Return the pictures, and make folders for their thumbnails."""
    for size in SIZES:
        (folder / "thumbnails" / str(size)).mkdir(parents=True, exist_ok=True)
    return sorted(folder.glob("*.jpg"))


async def main(folder: Path) -> None:
    pictures = prepare(folder)
    async with WorkerPool(2) as pool:
        made = await asyncio.gather(
            *(
                pool.create_task(thumbnail, picture, folder / "thumbnails" / str(size) / picture.name, size)
                for picture in pictures
                for size in SIZES
            )
        )
    print(f"{len(made)} thumbnails of {len(pictures)} pictures, the smallest {min(made)}")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        where = Path(sys.argv[1])
    else:
        where = Path("pictures")
        where.mkdir(exist_ok=True)
        for number in range(5):
            draw(where / f"{number}.jpg", number * 20)
    asyncio.run(main(where))
