"""What users write: `Resource` classes and `@resource` factories."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias, TypeVar, get_args, overload

from mainspring.errors import InvalidArgumentError

Scope: TypeAlias = Literal["app", "run"]
Provider: TypeAlias = object
"""A Resource subclass or instance, a factory (with `@resource` or without), or any object that is shared."""

_Factory = TypeVar("_Factory", bound=Callable[..., object])
_MARK: Final = "__mainspring_resource__"


class Resource(ABC):
    """Something that many runs share and each of them borrows: subclass it and write `acquire`.

    One instance per program is made at the first use, by calling the class; parameters of `__init__` may
    ask for other resources. Each run enters `acquire(ctx)` before the handler and leaves it before the run
    is recorded as finished. `acquire` may be written as

    - an `@asynccontextmanager` method, or a bare async generator that yields once;
    - a method that returns an async or a sync context manager;
    - a coroutine (or a plain method) that returns the value; then there is nothing to leave.

    What leaving does with the handler's error never hides it. The loop where the instance was made owns it.

    Example:
        >>> from collections.abc import AsyncIterator
        >>> class Numbers(Resource):
        ...     async def acquire(self, ctx: object) -> AsyncIterator[int]:
        ...         yield 42
    """

    scope: Scope = "app"
    """`"app"`: one instance per program. `"run"`: one per run, or per use by a service."""

    @abstractmethod
    def acquire(self, ctx: Any) -> Any:  # Any: one method, six documented forms; ctx is the user's own
        """Lend the value to one run; `ctx` is the run's context, or None outside of runs."""

    async def close(self) -> None:  # noqa: B027  # most resources have nothing to free
        """Free what the instance holds; called once, after the last run left it."""


@dataclass(frozen=True, slots=True)
class ResourceMark:
    """What `@resource` notes on a factory."""

    scope: Scope
    name: str


@overload
def resource(factory: _Factory, /) -> _Factory: ...
@overload
def resource(*, scope: Scope = "app", name: str | None = None) -> Callable[[_Factory], _Factory]: ...


def resource(
    factory: _Factory | None = None, /, *, scope: Scope = "app", name: str | None = None
) -> _Factory | Callable[[_Factory], _Factory]:
    """Declare a function as the maker of a resource; the function itself stays as it is.

    It may be plain, `async`, a generator or an async generator that yields once, or return a context
    manager: what it makes is entered, lent as it is to every user, and left with its scope. Its parameters
    may ask for other resources, and `ctx` when the scope is `"run"`.

    Args:
        scope: `"app"`, one value per program; `"run"`, one per run or per use by a service.
        name: how errors call it; by default the function's name.

    Raises:
        InvalidArgumentError: the scope is neither.
    """
    if scope not in get_args(Scope):
        raise InvalidArgumentError(argument="scope", value=scope, expected="'app' or 'run'")

    def mark(function: _Factory) -> _Factory:
        label = name or str(getattr(function, "__name__", repr(function)))
        setattr(function, _MARK, ResourceMark(scope=scope, name=label))
        return function

    return mark if factory is None else mark(factory)


def resource_mark(provider: Provider) -> ResourceMark | None:
    """Return what `@resource` noted on a factory, or None."""
    mark = getattr(provider, _MARK, None)
    return mark if isinstance(mark, ResourceMark) else None
