"""Limits of the kernel make descriptors and room in files run out, and give them back."""

import errno
import os
import resource
from pathlib import Path

import pytest

from mainspring.errors import InvalidArgumentError
from mainspring.testing import limit_descriptors, limit_file_size


@pytest.mark.parametrize("spare", [0, 1, 3])
def test_exactly_the_spare_descriptors_can_be_opened(spare: int) -> None:
    hole = os.open("/dev/null", os.O_RDONLY)
    top = os.open("/dev/null", os.O_RDONLY)
    os.close(hole)
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    opened: list[int] = []
    with limit_descriptors(spare):
        opened.extend(os.open("/dev/null", os.O_RDONLY) for _ in range(spare))
        with pytest.raises(OSError, match="Too many open files") as caught:
            os.open("/dev/null", os.O_RDONLY)
    for descriptor in (*opened, top):
        os.close(descriptor)
    assert caught.value.errno == errno.EMFILE
    assert before == resource.getrlimit(resource.RLIMIT_NOFILE)


def test_a_file_grows_to_the_limit_and_no_further(tmp_path: Path) -> None:
    path = tmp_path / "full"
    with path.open("wb", buffering=0) as file:
        with limit_file_size(100):
            assert file.write(b"x" * 150) == 100
            with pytest.raises(OSError, match="too large") as caught:
                file.write(b"x")
        assert caught.value.errno == errno.EFBIG
        assert file.write(b"x" * 50) == 50


def test_negative_limits_are_refused() -> None:
    with pytest.raises(InvalidArgumentError, match="spare"), limit_descriptors(-1):
        pass
    with pytest.raises(InvalidArgumentError, match="max_bytes"), limit_file_size(-1):
        pass
