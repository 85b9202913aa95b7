"""Messages that are encoded once, whoever gets them."""

from collections.abc import Sequence

from mainspring.base import encode_json
from mainspring.transport._link import Link
from mainspring.transport._records import Bytes


class Prepared:
    """A message that is encoded once and written to many connections. Made by `prepare`."""

    __slots__ = ("_frames", "_is_text", "payload")

    def __init__(self, payload: bytes, *, is_text: bool) -> None:
        self.payload = payload
        self._is_text = is_text
        self._frames: dict[str, Sequence[Bytes]] = {}

    def __len__(self) -> int:
        return len(self.payload)

    def frame_for(self, link: Link) -> Sequence[Bytes]:
        """Return the bytes for links of this kind."""
        frame = self._frames.get(link.encoding)
        if frame is None:
            frame = self._frames[link.encoding] = link.encode(self.payload, is_text=self._is_text)
        return frame


def prepare(value: object) -> Prepared:
    """Return `value` as JSON, encoded once, for `Connection.write_prepared`; bytes are taken as they are.

    Raises:
        EncodeError: it has no JSON form.
    """
    if isinstance(value, bytes):
        return Prepared(value, is_text=False)
    return Prepared(encode_json(value), is_text=True)
