"""Aborting a transport, whatever has become of it."""

from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from asyncio import WriteTransport


def abort_transport(transport: "WriteTransport") -> None:
    """Close a transport at once; nothing happens when it is gone."""
    # Asyncio's, when it has written its last bytes after a close, has no loop any more and does not know why.
    with suppress(AttributeError):
        transport.abort()
