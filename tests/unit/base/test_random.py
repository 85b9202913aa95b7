"""Random numbers and ids come from one source, which a test may seed."""

import subprocess
import sys
import uuid
from datetime import UTC, datetime

from mainspring.base import SystemClock, current_random, new_id, use_clock, use_random


class _Stopped(SystemClock):
    @staticmethod
    def time() -> float:
        return 1_357_016_400.5

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.time(), UTC)


def test_use_random_repeats_numbers_and_ids_of_a_seed() -> None:
    def draw() -> list[object]:
        with use_clock(_Stopped()), use_random("seed 7"):
            return [current_random().random(), new_id(), new_id(), current_random().random()]

    assert draw() == draw()


def test_use_random_gives_the_old_source_back() -> None:
    before = current_random()
    with use_random(1) as inside:
        assert inside is current_random()
        assert inside is not before
    assert before is current_random()


def test_id_is_a_canonical_uuid_of_version_7_that_holds_the_milliseconds() -> None:
    with use_clock(_Stopped()), use_random(3):
        text = new_id()
    parsed = uuid.UUID(text)
    assert text == str(parsed)
    assert (parsed.version, parsed.variant) == (7, uuid.RFC_4122)
    assert parsed.int >> 80 == 1_357_016_400_500


def test_ids_ascend_when_the_clock_stands_still_or_steps_back() -> None:
    with use_random(5):
        ids = [new_id()]
        with use_clock(_Stopped()):
            ids += [new_id() for _ in range(1000)]
    assert ids == sorted(set(ids))


def test_a_forked_child_draws_other_numbers() -> None:
    code = "import os; from mainspring.base import new_id; os.fork(); os.write(1, new_id().encode())"
    drawn = subprocess.run([sys.executable, "-c", code], timeout=60, check=True, capture_output=True).stdout.decode()
    assert len(drawn) == 2 * 36
    assert drawn[24:36] != drawn[60:]
