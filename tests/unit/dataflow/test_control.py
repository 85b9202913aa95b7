"""Notes and sockets get from one end of a line to the other, in order, and none stays open by mistake."""

import asyncio
import socket

from mainspring.dataflow._control import Control, Note, NoteKind, close_descriptors, control_pair
from mainspring.testing import eventually

FINISH = Note(NoteKind.FINISH)


async def test_a_note_and_a_socket_travel() -> None:
    ours, theirs = control_pair()
    left, right = Control(ours), Control(theirs)
    kept, passed = socket.socketpair()
    left.send(Note(NoteKind.INBOUND, index=3), passed)
    received = await right.receive()
    assert received is not None
    note, end = received
    assert (NoteKind.INBOUND, 3) == (note.kind, note.index)
    assert -1 == passed.fileno()  # ours is closed: it is on its way
    assert end is not None
    with kept, end:
        end.send(b"x")
        assert b"x" == kept.recv(1)
    left.close()
    assert await right.receive() is None
    right.send(FINISH)  # nobody hears it, and nothing happens
    await right.flush()
    right.close()
    right.close()
    assert [] == right.descriptors
    assert right.receive_nowait() is None


async def test_what_the_system_does_not_take_waits_its_turn() -> None:
    ours, theirs = control_pair()
    left = Control(ours)
    for index in range(3000):
        left.send(Note(NoteKind.OUTBOUND, index=index, text="x" * 100))
    flushing = asyncio.create_task(left.flush())
    await asyncio.sleep(0)
    assert not flushing.done()
    right = Control(theirs)
    got = [await right.receive() for _ in range(3000)]
    await flushing
    assert list(range(3000)) == [one[0].index for one in got if one is not None]
    left.send(FINISH)
    assert await right.receive() == (FINISH, None)
    left.close()
    right.close()


async def test_sockets_that_nobody_takes_over_are_closed() -> None:
    ours, theirs = control_pair()
    left = Control(ours)
    ends: list[socket.socket] = []
    for _ in range(2000):
        left.send(Note(NoteKind.REPORT, text="x" * 100))
    for _ in range(3):
        kept, passed = socket.socketpair()
        ends.append(kept)
        left.send(FINISH, passed)
    assert 4 == len(left.descriptors)
    left.close()
    theirs.close()
    for kept in ends:
        assert b"" == kept.recv(1)
        kept.close()


async def test_sockets_that_came_and_were_not_read_are_closed() -> None:
    ours, theirs = control_pair()
    left, right = Control(ours), Control(theirs)
    kept, passed = socket.socketpair()
    left.send(FINISH, passed)
    await eventually(lambda: not right._notes.empty())
    right.close()
    left.close()
    with kept:
        assert b"" == kept.recv(1)
    assert await right.receive() is None


async def test_the_death_of_the_other_end_is_heard_and_what_is_unsent_is_closed() -> None:
    ours, theirs = control_pair()
    left = Control(ours)
    for _ in range(2000):
        left.send(Note(NoteKind.REPORT, text="x" * 100))
    kept, passed = socket.socketpair()
    left.send(FINISH, passed)
    theirs.close()
    await left.flush()
    with kept:
        assert b"" == kept.recv(1)
    assert await left.receive() is None
    left.close()


def test_descriptors_of_others_are_closed_whether_they_are_open_or_not() -> None:
    one, other = socket.socketpair()
    fd = other.detach()
    close_descriptors([fd, fd])
    with one:
        assert b"" == one.recv(1)
