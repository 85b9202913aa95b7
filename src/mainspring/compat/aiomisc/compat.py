"""`aiomisc.compat`: what aiomisc needed to run everywhere, as far as programs use it."""

import asyncio
import socket
from typing import Any

from mainspring.compat.aiomisc._environment import settings
from mainspring.compat.aiomisc.context_vars import EVENT_LOOP
from mainspring.runtime import LoopFactory
from mainspring.runtime import default_loop_factory as _loop_factory

__all__ = (
    "EVENT_LOOP",
    "EventLoopMixin",
    "LoopFactoryType",
    "default_loop_factory",
    "get_current_loop",
    "set_current_loop",
    "sock_set_nodelay",
    "sock_set_reuseport",
)

LoopFactoryType = LoopFactory


class EventLoopMixin:
    """An object that remembers the loop on which it is first asked for one."""

    __slots__ = ("_loop",)

    _loop: asyncio.AbstractEventLoop | None

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The loop that was running at the first access."""
        found = getattr(self, "_loop", None)
        if found is None:
            found = self._loop = asyncio.get_running_loop()
        return found


def default_loop_factory() -> asyncio.AbstractEventLoop:
    """Make a loop: uvloop's if it is installed and `AIOMISC_USE_UVLOOP` does not say no, else asyncio's."""
    return _loop_factory(use_uvloop=settings().use_uvloop)()


def set_current_loop(loop: asyncio.AbstractEventLoop) -> None:
    """Set the loop that `get_current_loop` returns in this context."""
    EVENT_LOOP.set(loop)


def get_current_loop() -> asyncio.AbstractEventLoop:
    """Return the running loop, else the one that was set.

    Raises:
        RuntimeError: there is neither.
    """
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return EVENT_LOOP.get()


def sock_set_nodelay(sock: socket.socket) -> None:
    """Send small pieces at once; nothing happens to a socket that is not TCP."""
    if sock.family in (socket.AF_INET, socket.AF_INET6) and sock.type == socket.SOCK_STREAM:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def sock_set_reuseport(sock: socket.socket, reuse_port: bool) -> None:
    """Let several sockets listen on one port, or not, where the system knows that."""
    option = getattr(socket, "SO_REUSEPORT", None)
    if option is not None:
        sock.setsockopt(socket.SOL_SOCKET, option, int(reuse_port))


def __getattr__(name: str) -> Any:  # Any: what a missing name would be
    """Make `event_loop_policy` at its first use: newer Pythons warn of policies."""
    if name != "event_loop_policy":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

    class Policy(asyncio.DefaultEventLoopPolicy):
        def new_event_loop(self) -> asyncio.AbstractEventLoop:
            return default_loop_factory()

    made = globals()[name] = Policy()
    return made
