"""`JetStream`: what carries an edge when its messages are to outlive processes and cross machines. Pure."""

import re
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias
from urllib.parse import urlsplit

from mainspring.dataflow._checks import check_choice, check_int
from mainspring.errors import InvalidArgumentError

Storage: TypeAlias = Literal["file", "memory"]
"""Where a NATS server keeps a stream."""

_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,128}")
_SCHEMES: Final = ("nats", "tls")
_MOST_STORED: Final = 1 << 30


@dataclass(frozen=True, slots=True, kw_only=True)
class JetStream:
    """A stream of a NATS server that carries one edge: `Edge(via=JetStream(stream="trades"))`.

    The stream is made when the dataflow starts. Each sender has a subject of it for each receiver, each receiver
    one consumer. Needs `pip install "mainspring[nats]"`, and a server that was started with JetStream (`-js`).

    Args:
        stream: its name, for this edge alone: letters, digits, `-` and `_`.
        url: of the server, `nats://` or `tls://`, with user and password or a token if it wants them.
        max_stored: messages of one sender for one receiver that the stream holds and nobody is done with; the
            sender waits beyond that.
        storage: "file", or "memory" for messages that may go when the server goes.
        replicas: servers of a cluster that keep a copy.

    Raises:
        InvalidArgumentError: an argument cannot work; it says which.
    """

    stream: str
    url: str = field(default="nats://127.0.0.1:4222", repr=False)
    max_stored: int = 65536
    storage: Storage = "file"
    replicas: int = 1

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.stream):
            raise InvalidArgumentError(
                argument="stream", value=self.stream, expected="1 to 128 letters, digits, - and _"
            )
        if urlsplit(self.url).scheme not in _SCHEMES or not urlsplit(self.url).hostname:
            raise InvalidArgumentError(
                argument="url", value=self.address, expected="nats://HOST:PORT or tls://HOST:PORT"
            )
        check_int("max_stored", self.max_stored, 1, _MOST_STORED)
        check_choice("storage", self.storage, ("file", "memory"))
        check_int("replicas", self.replicas, 1, 5)

    @property
    def address(self) -> str:
        """The server, without what is secret."""
        scheme, _, rest = self.url.partition("://")
        return f"{scheme}://{rest.rpartition('@')[2]}"

    @property
    def all_subjects(self) -> str:
        """Where all messages of the edge lie."""
        return f"mainspring.{self.stream}.*.*"

    def subject(self, sender: int, receiver: int) -> str:
        """Return where messages of one worker for another one lie."""
        return f"mainspring.{self.stream}.{sender}.{receiver}"

    def subjects_of(self, receiver: int) -> str:
        """Return where all messages for a worker lie."""
        return f"mainspring.{self.stream}.*.{receiver}"

    def consumer(self, receiver: int) -> str:
        """Return the name of a worker's consumer."""
        return f"{self.stream}-{receiver}"
