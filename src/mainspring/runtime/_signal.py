"""Signals of a program's life: coroutine functions that are called when it starts, stops or reloads."""

import inspect
from collections.abc import Callable, Coroutine
from typing import Any, TypeAlias, TypeVar

from mainspring.errors import MisuseError

Receiver: TypeAlias = Callable[..., Coroutine[Any, Any, object]]  # Any: what a coroutine sends and yields
_Receiver = TypeVar("_Receiver", bound=Receiver)


class Signal:
    """A list of coroutine functions that are called one after the other.

    Each receiver gets only the keyword arguments that its signature takes. A frozen signal takes and loses
    no receivers; `copy()` is not frozen. Not thread-safe.
    """

    __slots__ = ("_frozen", "_receivers")

    def __init__(self) -> None:
        self._receivers: dict[Receiver, tuple[str, ...] | None] = {}
        self._frozen = False

    def connect(self, receiver: _Receiver) -> _Receiver:
        """Add a receiver; it is called after those that are there. Returns it, so that it decorates.

        Raises:
            MisuseError: the receiver is not `async def`, or the signal is frozen.
        """
        if not inspect.iscoroutinefunction(receiver):
            label = getattr(receiver, "__qualname__", repr(receiver))
            raise MisuseError(
                what=f"the receiver {label}", problem="is no coroutine function", hint="write `async def`"
            )
        self._check_frozen()
        self._receivers[receiver] = _keywords_of(receiver)
        return receiver

    def disconnect(self, receiver: Receiver) -> None:
        """Remove a receiver; one that is not there is no error.

        Raises:
            MisuseError: the signal is frozen.
        """
        self._check_frozen()
        self._receivers.pop(receiver, None)

    async def call(self, *args: object, **kwargs: object) -> None:
        """Call all receivers in the order of connection, one after the other; the first error ends it."""
        for receiver, keywords in list(self._receivers.items()):
            taken = kwargs if keywords is None else {name: kwargs[name] for name in keywords if name in kwargs}
            await receiver(*args, **taken)

    def copy(self) -> "Signal":
        """Return an unfrozen signal with the same receivers."""
        other = Signal()
        other._receivers = dict(self._receivers)
        return other

    def freeze(self) -> None:
        """Refuse changes from now on."""
        self._frozen = True

    @property
    def is_frozen(self) -> bool:
        """Whether changes are refused."""
        return self._frozen

    def __len__(self) -> int:
        return len(self._receivers)

    def __repr__(self) -> str:
        return f"<Signal {'frozen ' if self._frozen else ''}receivers={len(self)}>"

    def _check_frozen(self) -> None:
        if self._frozen:
            hint = "connect before the program starts"
            raise MisuseError(what="a frozen signal", problem="takes and loses no receivers", hint=hint)


def _keywords_of(receiver: Receiver) -> tuple[str, ...] | None:
    """Return the keywords that a function takes; None when it takes any."""
    parameters = inspect.signature(receiver).parameters.values()
    if any(one.kind is one.VAR_KEYWORD for one in parameters):
        return None
    return tuple(one.name for one in parameters if one.kind in (one.POSITIONAL_OR_KEYWORD, one.KEYWORD_ONLY))


def receiver(signal: Signal) -> Callable[[_Receiver], _Receiver]:
    """Connect the decorated coroutine function to a signal.

    Example:
        >>> started = Signal()
        >>> @receiver(started)
        ... async def greet(entrypoint: object) -> None:
        ...     print("hello")
    """
    return signal.connect
