"""Look once at a provider and say how its value is made and how it is lent to a run.

Two rules decide what is entered. What a *factory* makes is fresh and belongs to us, so a context manager
that it returns is entered and left with its scope (locks and limiters, which have an `acquire` of their own
that waits, are not). What an `acquire` *lends* may be shared, so that the answer of a coroutine is taken as it is, and
only context managers that a plain method returns, or that contextlib made, are entered.

An object that is given *directly* is its owner's and shared as it is, unless it says with `__resource__()`, an async
context manager, what a program has to do from its first use to the program's end: worker processes that were not
started are, and a pool keeps nothing idle afterwards, so that the connections of one that stands in a declaration,
where nobody can close it, are closed.
"""

import inspect
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AbstractContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any, TypeAlias, cast

from mainspring.runtime._resource import Provider, Resource, Scope, resource_mark

Leave: TypeAlias = Callable[[Any, Any, Any], Any]  # Any: the three arguments of __exit__ and its answer
Lend: TypeAlias = Callable[[Any], Any]  # Any: ctx in, one of the documented forms out


@dataclass(frozen=True, slots=True)
class Recipe:
    """How one provider makes its value. `make` is None when the provider is the value itself."""

    name: str
    scope: Scope
    make: Callable[..., Any] | None  # Any: a user's factory
    signature_of: Callable[..., Any] | None  # Any: whose parameters ask for other resources


def recipe_of(provider: Provider) -> Recipe:
    """Describe a provider; nothing is called."""
    if isinstance(provider, type):
        kind = cast("type[object]", provider)
        scope = kind.scope if issubclass(kind, Resource) else "app"
        return Recipe(_label(kind), scope, kind, kind)
    if inspect.isroutine(provider) or isinstance(provider, partial):
        factory = cast("Callable[..., Any]", provider)  # both kinds are callable
        mark = resource_mark(factory)
        name = mark.name if mark else getattr(factory, "__name__", repr(factory))
        return Recipe(name, mark.scope if mark else "app", _as_manager(factory), factory)
    if isinstance(provider, Resource):
        return Recipe(_label(type(provider)), "app", lambda: provider, None)
    # Of the class, as other special methods: a proxy may answer for any name.
    hold: Callable[..., Any] | None = getattr(type(provider), "__resource__", None)  # Any: an async context manager
    return Recipe(_label(type(provider)), "app", hold and partial(hold, provider), None)


def _label(kind: type) -> str:
    return str(getattr(kind, "__resource_name__", None) or kind.__qualname__)


def _as_manager(function: Callable[..., Any]) -> Callable[..., Any]:
    """Make a bare generator function a context manager; leave every other function alone."""
    if inspect.isasyncgenfunction(function):
        return asynccontextmanager(function)
    if inspect.isgeneratorfunction(function):
        return contextmanager(function)
    return function


def lender_of(value: object) -> Lend | None:
    """Return how `value` is acquired by one run, or None when it is injected as it is.

    A Resource always lends. Any other object lends when it has an `acquire()` that gives a context manager,
    as pools have. An `acquire` that is a coroutine function (limiters, asyncio's locks) is the handler's to
    call, and one of an object that is itself a plain context manager (thread locks) would block the loop.
    """
    acquire = getattr(value, "acquire", None)
    if isinstance(value, Resource):
        return _resource_lender(type(value))(value)
    if not callable(acquire) or isinstance(value, type) or hasattr(value, "__enter__"):
        return None
    if inspect.iscoroutinefunction(acquire) or not inspect.isroutine(acquire):
        return None
    plain = cast("Callable[[], Any]", acquire)  # checked: a routine, called without arguments
    return lambda ctx: plain()


@lru_cache(maxsize=256)
def _resource_lender(kind: type[Resource]) -> Callable[[Resource], Lend]:
    """Look once at a class; a resource of scope "run" is made too often to be inspected each time."""
    acquire: Callable[..., Any] = _as_manager(kind.acquire)
    if len(inspect.signature(kind.acquire).parameters) > 1:
        return lambda value: partial(acquire, value)
    return lambda value: lambda ctx: acquire(value)


async def enter_made(product: Any) -> tuple[object, Leave | None]:  # Any: whatever a factory returned
    """Turn what a factory returned into its value and the way to leave it."""
    is_pool = not isinstance(product, Resource) and lender_of(product) is not None
    if (is_pool or not hasattr(product, "acquire")) and (entered := _managed(product)):
        return await entered
    if inspect.isawaitable(product):
        return await enter_made(await product)  # Any: see above
    return product, None


async def enter_lent(product: Any) -> tuple[object, Leave | None]:  # Any: whatever `acquire` returned
    """Turn what an `acquire` returned into the value for this run and the way to leave it."""
    if entered := _managed(product):
        return await entered
    if not inspect.isawaitable(product):
        return product, None
    value = await product
    made_by_contextlib = AbstractAsyncContextManager in type(value).__mro__ or (
        AbstractContextManager in type(value).__mro__
    )
    if made_by_contextlib and (entered := _managed(value)):
        return await entered
    return value, None


def _managed(product: Any) -> Awaitable[tuple[object, Leave]] | None:
    kind: type = product.__class__
    if hasattr(kind, "__aenter__"):
        return _enter(product)
    if hasattr(kind, "__enter__"):
        return _enter_sync(product)
    return None


async def _enter(manager: Any) -> tuple[object, Leave]:
    return await manager.__aenter__(), manager.__aexit__


async def _enter_sync(manager: Any) -> tuple[object, Leave]:
    value = manager.__enter__()

    async def leave(*error: Any) -> None:
        manager.__exit__(*error)

    return value, leave
