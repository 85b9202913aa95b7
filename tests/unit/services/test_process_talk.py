"""A process says that it has begun, hands on what its speaker says, and ends at SIGINT without a word."""

import asyncio
import socket
from collections.abc import Callable
from typing import Any

import pytest

from mainspring.base import FrameDecoder, encode_frame
from mainspring.services._process_talk import ProcessEar, be_process
from mainspring.testing import eventually


class Work:
    """What a service does there."""

    def __init__(self, error: BaseException | None = None) -> None:
        self.error = error

    def in_process(self, **arguments: Any) -> None:
        if self.error is not None:
            raise self.error


def frames(sock: socket.socket) -> list[bytes]:
    return [bytes(frame) for frame in FrameDecoder().feed(sock.recv(1000))]


def talker(flushed: list[str], error: BaseException | None = None) -> Callable[..., Any]:
    def speaker(send: Callable[[bytes], None]) -> Callable[[], None]:
        def flush() -> None:
            flushed.append("flushed")
            send(b"last words")
            if error is not None:
                raise error

        return flush

    return speaker


def test_the_first_and_the_last_words_arrive() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        flushed: list[str] = []
        be_process(Work(), {}, theirs, talker(flushed))
        assert [b"S", b"Tlast words"] == frames(ours)
        be_process(Work(), {}, theirs, None)
        assert [b"S"] == frames(ours)


@pytest.mark.parametrize("moment", ["in the work", "in the last words"])
def test_an_interruption_is_an_exit_code(moment: str) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        flushed: list[str] = []
        interrupted = KeyboardInterrupt()
        work = Work(interrupted if moment == "in the work" else None)
        with pytest.raises(SystemExit) as ended:
            be_process(work, {}, theirs, talker(flushed, interrupted if moment == "in the last words" else None))
        assert 130 == ended.value.code
        assert ["flushed"] == flushed


def test_nobody_who_listens_is_no_failure() -> None:
    ours, theirs = socket.socketpair()
    ours.close()
    with theirs:
        be_process(Work(), {}, theirs, talker([]))


async def test_the_ear_hears_until_it_hangs_up() -> None:
    ours, theirs = socket.socketpair()
    ear = ProcessEar(ours)
    with theirs:
        await asyncio.get_running_loop().create_unix_connection(lambda: ear, sock=ours)
        theirs.sendall(b"".join(encode_frame(b"S") + encode_frame(b"S")))
        await ear.started
        ear.hang_up()
        await ear.ended
        await eventually(lambda: ours.fileno() == -1)


async def test_a_line_that_was_never_opened_is_closed() -> None:
    ours, theirs = socket.socketpair()
    with theirs:
        ear = ProcessEar(ours)
        ear.hang_up()
        assert ear.ended.done()
        assert -1 == ours.fileno()
