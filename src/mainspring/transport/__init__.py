"""Transport: bytes and messages between processes and machines."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mainspring.errors import BindError as BindError
    from mainspring.transport._bind_socket import SocketOption as SocketOption
    from mainspring.transport._bind_socket import bind_socket as bind_socket
    from mainspring.transport._pipe import AsyncPipe as AsyncPipe
    from mainspring.transport._stats import TransportStats as TransportStats
else:
    from mainspring.base import door

    __getattr__, __dir__, __all__ = door(
        __name__,
        {
            "_bind_socket": ("SocketOption", "bind_socket"),
            "mainspring.errors": ("BindError",),
            "_pipe": ("AsyncPipe",),
            "_stats": ("TransportStats",),
        },
    )
