"""A body that is longer than it may be is cut off, and its sender told, unless the answer has begun."""

import pytest

pytest.importorskip("fastapi")

from starlette.types import Message, Scope

from mainspring.web._bounded_body import BoundedBody

pytestmark = pytest.mark.extras

SCOPE: Scope = {"type": "http", "method": "POST", "path": "/", "headers": []}
BEGIN: Message = {"type": "http.response.start", "status": 200, "headers": []}


class Wire:
    """A client that sends chunks, and what it was answered."""

    def __init__(self, *chunks: bytes) -> None:
        self.chunks = list(chunks)
        self.answered: list[Message] = []

    async def receive(self) -> Message:
        return {"type": "http.request", "body": self.chunks.pop(0), "more_body": bool(self.chunks)}

    async def send(self, message: Message) -> None:
        self.answered.append(message)

    def bounded(self, max_body: int) -> BoundedBody:
        return BoundedBody(SCOPE, self.receive, self.send, max_body=max_body)


async def test_a_body_within_its_bound_passes() -> None:
    wire = Wire(b"123", b"45")
    body = wire.bounded(5)
    assert [b"123", b"45"] == [(await body.receive())["body"] for _ in range(2)]
    await body.send(BEGIN)
    assert ([BEGIN], False) == (wire.answered, body.cut_off)


async def test_a_longer_one_is_refused_in_place_of_the_application() -> None:
    wire = Wire(b"123", b"456", b"not read any more")
    body = wire.bounded(5)
    assert b"123" == (await body.receive())["body"]
    for _ in range(2):
        assert {"type": "http.disconnect"} == await body.receive()
    await body.send(BEGIN)
    assert body.cut_off
    assert [413] == [one["status"] for one in wire.answered if "status" in one]
    assert (b"connection", b"close") in wire.answered[0]["headers"]
    assert [b"not read any more"] == wire.chunks


async def test_an_answer_that_has_begun_is_not_followed_by_another() -> None:
    wire = Wire(b"123", b"456")
    body = wire.bounded(5)
    await body.send(BEGIN)
    await body.receive()
    assert {"type": "http.disconnect"} == await body.receive()
    assert ([BEGIN], False) == (wire.answered, body.cut_off)
