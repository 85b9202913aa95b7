"""Streams of bytes as nobody sends them: what is kept in the corpus, mutated by a seeded source of chance."""

import random
from collections.abc import Iterator
from pathlib import Path

CORPUS = Path(__file__).parent / "corpus"

_MOST_BYTES = 1 << 17
_LENGTHS = (b"\xff\xff\xff\xff", b"\0\0\0\0", b"\xff\xff\xff\x7f", b"\0\0\x10\0")


def corpus(kind: str) -> dict[str, bytes]:
    """Return the streams that are kept, by name."""
    return {path.stem: path.read_bytes() for path in sorted((CORPUS / kind).glob("*.bin"))}


def mutated(kind: str, count: int, seed: int) -> Iterator[bytes]:
    """Yield so many streams, each made from one or two that are kept; the same for the same seed."""
    chance, kept = random.Random(seed), list(corpus(kind).values())
    for _ in range(count):
        stream = bytearray(chance.choice(kept))
        for _ in range(chance.randint(1, 4)):
            _mutate(stream, chance, kept)
        yield bytes(stream[:_MOST_BYTES])


def _mutate(stream: bytearray, chance: random.Random, kept: list[bytes]) -> None:
    where = chance.randrange(len(stream) + 1)
    match chance.randrange(6):
        case 0 if stream:
            stream[where % len(stream)] ^= 1 << chance.randrange(8)
        case 1:
            del stream[where:]
        case 2:
            stream[where:where] = chance.choice(kept)
        case 3:
            stream[where:where] = chance.randbytes(chance.randint(1, 8))
        case 4:
            del stream[where : where + chance.randint(1, 16)]
        case _:
            stream[where : where + 4] = chance.choice(_LENGTHS)


def cuts(stream: bytes, chance: random.Random) -> Iterator[bytes]:
    """Yield a stream in pieces of any size."""
    position = 0
    while position < len(stream):
        size = chance.choice((1, 2, 3, 7, 100, 4096, 1 << 16))
        yield stream[position : position + size]
        position += size
