"""Errors of floor 4: transport."""

from mainspring.errors._root import MainspringError


class ConnectionClosedError(MainspringError, ConnectionError, EOFError):
    """The other end is gone, or this end was closed.

    Attributes:
        is_clean: it ended between two messages; False when one was cut, or the link broke.
    """

    what: str
    reason: str
    is_clean: bool

    def __init__(self, *, what: str, reason: str, is_clean: bool = False) -> None:
        super().__init__(f"{what}: {reason}", what=what, reason=reason, is_clean=is_clean)


class ConnectionClosedOK(ConnectionClosedError):
    """The other end closed between two records, while a streaming read of `compat.mutil` waited."""


class HandshakeError(MainspringError, ConnectionError):
    """Two ends did not come to an understanding: the exchange was cut, late, garbled or of another version."""

    peer: str
    reason: str

    def __init__(self, *, peer: str, reason: str, hint: str | None = None) -> None:
        super().__init__(f"no understanding with {peer}: {reason}", hint=hint, peer=peer, reason=reason)


class AuthenticationError(HandshakeError, PermissionError):
    """The other end has not shown that it knows the key, or does not believe that this one does."""


class InsecureTransportError(MainspringError, ValueError):
    """A way to listen or to connect was refused because others could read it, take it over or use it unasked."""

    address: str
    problem: str

    def __init__(self, *, address: str, problem: str, hint: str) -> None:
        super().__init__(f"{address} is refused: {problem}", hint=hint, address=address, problem=problem)
