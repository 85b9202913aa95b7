"""`aiomisc.context_vars`: context variables that say what is missing when they are read too early."""

import asyncio
from collections.abc import Callable
from contextvars import ContextVar, Token
from typing import Final, Generic, TypeVar

from mainspring.runtime import Entrypoint

__all__ = ("CURRENT_ENTRYPOINT", "EVENT_LOOP", "StrictContextVar")

T = TypeVar("T")


class StrictContextVar(Generic[T]):
    """A context variable whose `get()` raises a fresh error of its own while nothing is set.

    Args:
        name: of the variable.
        exc: the error, or what makes it.
    """

    def __init__(self, name: str, exc: Exception | Callable[[], Exception]) -> None:
        self._variable: ContextVar[T] = ContextVar(name)
        self._error = exc

    def get(self) -> T:
        """Return the value.

        Raises:
            Exception: the one that was given: nothing is set here.
        """
        try:
            return self._variable.get()
        except LookupError:
            error = self._error
            raise (type(error)(*error.args) if isinstance(error, Exception) else error()) from None

    def set(self, value: T) -> Token[T]:
        """Set the value in the current context."""
        return self._variable.set(value)

    def reset(self, token: Token[T]) -> None:
        """Put back what was there before."""
        self._variable.reset(token)


EVENT_LOOP: Final[StrictContextVar[asyncio.AbstractEventLoop]] = StrictContextVar(
    "EVENT_LOOP", RuntimeError("no current event loop is set")
)
CURRENT_ENTRYPOINT: Final[StrictContextVar[Entrypoint]] = StrictContextVar(
    "CURRENT_ENTRYPOINT", RuntimeError("no current entrypoint is set")
)
