"""What servers and clients have in common: the choices, checked once, and how a link is made by them."""

import math
import ssl as ssl_module
from dataclasses import dataclass

from mainspring.errors import InvalidArgumentError
from mainspring.transport._address import Address
from mainspring.transport._handshake import check_key
from mainspring.transport._inbox import DEFAULT_UNREAD_BYTES
from mainspring.transport._records import RecordCodec
from mainspring.transport._stream_link import StreamLink


@dataclass(frozen=True, slots=True)
class LinkOptions:
    """How links are made. The constructors of servers and clients say what each means."""

    key: bytes | None
    ssl: ssl_module.SSLContext | None
    header_bytes: int
    max_bytes: int
    heartbeat: float | None
    idle_timeout: float | None
    handshake_timeout: float

    @classmethod
    def checked(
        cls,
        *,
        auth_key: str | bytes | None,
        ssl: ssl_module.SSLContext | None,
        header_bytes: int,
        max_bytes: int,
        heartbeat: float | None,
        idle_timeout: float | None,
        handshake_timeout: float,
    ) -> "LinkOptions":
        """Return the choices.

        Raises:
            InvalidArgumentError: one of them is outside of its range.
        """
        RecordCodec(header_bytes=header_bytes)  # refuses a width
        if max_bytes < 1:
            raise InvalidArgumentError(argument="max_bytes", value=max_bytes, expected="1 or more")
        for name, value in (
            ("heartbeat", heartbeat),
            ("idle_timeout", idle_timeout),
            ("handshake_timeout", handshake_timeout),
        ):
            if value is not None and not (value > 0 and math.isfinite(value)):
                raise InvalidArgumentError(argument=name, value=value, expected="seconds above 0")
        key = None if auth_key is None else check_key(auth_key)
        return cls(key, ssl, header_bytes, max_bytes, heartbeat, idle_timeout, handshake_timeout)

    def __repr__(self) -> str:
        return f"<LinkOptions authenticated={self.key is not None} encrypted={self.ssl is not None}>"

    def stream_link(self, address: Address) -> StreamLink:
        """Return the protocol of one stream. Needs a running loop."""
        kind = address.scheme + ("+tls" if self.ssl is not None else "")
        return StreamLink(
            RecordCodec(header_bytes=self.header_bytes),
            kind=kind,
            heartbeat=self.heartbeat,
            idle_timeout=self.idle_timeout,
            unread_bytes=DEFAULT_UNREAD_BYTES,
        )
