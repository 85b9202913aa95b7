"""Whatever is read, written and sought, the buffers of a file give what a plain file gives."""

import io
import tempfile
from pathlib import Path
from typing import Any  # Any: files of text and of bytes

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mainspring.storage._file_kernel import FileKernel

TEXT = st.text(st.sampled_from("ab\n\réß漢"), max_size=12)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("read"), st.integers(-1, 9)),
        st.tuples(st.just("readline"), st.integers(-1, 6)),
        st.tuples(st.just("readlines"), st.integers(-1, 9)),
        st.tuples(st.just("write"), TEXT),
        st.tuples(st.just("seek back"), st.integers(0, 20)),
        st.tuples(st.just("seek end"), st.just(0)),
        st.tuples(st.just("truncate"), st.just(0)),
        st.tuples(st.just("flush"), st.just(0)),
    ),
    max_size=14,
)


class Plain:
    """A plain file that is moved to its own position whenever its direction changes, as the manual asks for."""

    def __init__(self, fp: Any) -> None:
        self.fp = fp
        self._reads = False

    def turn(self, *, reads: bool) -> None:
        if reads != self._reads:
            self.fp.seek(self.fp.tell())
        self._reads = reads

    def do(self, action: str, value: Any) -> Any:
        fp = self.fp
        if action in ("read", "readline", "readlines"):
            self.turn(reads=True)
            if action == "readlines" and isinstance(fp, io.TextIOBase):
                return self._lines(value)  # the file's own method forbids to ask for the position afterwards
            return getattr(fp, action)(value)
        self.turn(reads=False)
        if action == "write":
            return fp.write(value)
        if action == "truncate":
            fp.flush()
            return fp.truncate(fp.tell())
        return fp.flush()

    def _lines(self, hint: int) -> list[str]:
        lines: list[str] = []
        while (hint <= 0 or sum(map(len, lines)) <= hint) and (line := self.fp.readline()):
            lines.append(line)
        return lines


def try_first(kernel: FileKernel[Any], action: str, value: Any) -> Any:
    """Do what the async file does: ask the buffers, then the file."""
    quick = None
    if action == "read":
        quick = kernel.try_read(value)
    elif action == "readline" and value < 0:
        quick = kernel.try_readline()
    elif action == "write":
        quick = kernel.try_write(value)
    if quick is not None:
        return quick
    if action in ("truncate", "flush"):
        return getattr(kernel, action)()
    return getattr(kernel, action)(value)


@pytest.mark.parametrize("newline", [None, "", "\n", "\r", "\r\n"])
@settings(deadline=None)
@given(content=st.text(st.sampled_from("ab\n\ré漢"), max_size=40), steps=STEPS, ahead=st.integers(1, 8))
def test_text_is_that_of_a_plain_file(newline: str | None, content: str, steps: list[Any], ahead: int) -> None:
    if any(action == "write" for action, _ in steps):
        # written over a part of a longer character, a file is no text any more
        content = content.encode("ascii", "replace").decode()
        steps = [(a, value.encode("ascii", "replace").decode()) if a == "write" else (a, value) for a, value in steps]
    if not newline and any(action in ("write", "truncate") for action, _ in steps):
        # after a carriage return a position holds a state of the decoder and is no place to cut or write at
        content = content.replace("\r", "")
        steps = [(a, value.replace("\r", "")) if a == "write" else (a, value) for a, value in steps]
    with tempfile.TemporaryDirectory() as name:
        files = [Path(name, "plain"), Path(name, "ours")]
        for file in files:
            file.write_bytes(content.encode())
        plain_fp, our_fp = (file.open("r+", encoding="utf-8", newline=newline) for file in files)
        plain, kernel = Plain(plain_fp), FileKernel[str](our_fp, newline=newline, read_ahead=ahead, write_behind=7)
        run(plain, kernel, steps)
        plain_fp.close()
        kernel.close()
        assert files[0].read_bytes() == files[1].read_bytes()


@settings(deadline=None)
@given(content=st.binary(max_size=40), steps=STEPS, ahead=st.integers(1, 8))
def test_bytes_are_those_of_a_plain_file(content: bytes, steps: list[Any], ahead: int) -> None:
    steps = [(action, value.encode() if isinstance(value, str) else value) for action, value in steps]
    with tempfile.TemporaryDirectory() as name:
        files = [Path(name, "plain"), Path(name, "ours")]
        for file in files:
            file.write_bytes(content)
        plain_fp, our_fp = (file.open("r+b") for file in files)
        plain, kernel = Plain(plain_fp), FileKernel[bytes](our_fp, read_ahead=ahead, write_behind=7)
        run(plain, kernel, steps)
        plain_fp.close()
        kernel.close()
        assert files[0].read_bytes() == files[1].read_bytes()


def run(plain: Plain, kernel: FileKernel[Any], steps: list[Any]) -> None:
    """Do the same to both and compare what they answer."""
    for action, value in steps:
        if action == "seek back":
            plain.turn(reads=False)
            # a position in text may hold a state of the decoder: only what is read there tells whether it is right
            theirs, ours = int(plain.fp.tell()), kernel.tell()
            if not isinstance(kernel.fp, io.TextIOBase):
                assert theirs == ours
            back = int(value) % 2 == 0
            plain.fp.seek(0 if back else theirs)
            assert (0 if back else ours) == kernel.seek(0 if back else ours)
        elif action == "seek end":
            assert plain.fp.seek(0, io.SEEK_END) == kernel.seek(0, io.SEEK_END)
        else:
            assert plain.do(action, value) == try_first(kernel, action, value), action
