"""A message is encoded once for each kind of link."""

import pytest

from mainspring.errors import EncodeError
from mainspring.transport import Prepared, prepare
from mainspring.transport._records import RecordCodec
from mainspring.transport._stream_link import StreamLink


def link(kind: str) -> StreamLink:
    return StreamLink(RecordCodec(), kind=kind, heartbeat=None, idle_timeout=None, unread_bytes=1)


async def test_links_of_a_kind_share_the_encoded_bytes() -> None:
    message = prepare({"a": 1})
    assert message.frame_for(link("tcp")) is message.frame_for(link("tcp"))
    assert message.frame_for(link("tcp")) is not message.frame_for(link("unix"))
    assert (b'{"a":1}', 7) == (message.payload, len(message))


async def test_bytes_are_taken_as_they_are() -> None:
    assert [b"\x03\0\0\0raw"] == list(prepare(b"raw").frame_for(link("tcp")))
    assert isinstance(prepare(b""), Prepared)


def test_what_has_no_json_form_is_refused() -> None:
    with pytest.raises(EncodeError):
        prepare(object())
