"""`aiomisc_dependency`: resources asked for by name, in the spelling of aiomisc's plugin.

A dependency is made once per program, at its first use, and closed when the program ends, newest first.
"""

import asyncio
import functools
from collections.abc import Awaitable, Callable, Iterable, Mapping
from inspect import Parameter, Signature
from typing import Any, Final, TypeVar, cast  # Any: dependencies of any type

from mainspring.errors import InvalidArgumentError, MisuseError, NoEntrypointError, UnknownResourceError
from mainspring.runtime import Entrypoint, Provider, ResourceContainer, Service

__all__ = ("consumer", "dependency", "enter_session", "exit_session", "freeze", "inject", "reset_store")

F = TypeVar("F", bound=Callable[..., Any])


class _Store:
    def __init__(self) -> None:
        self.providers: dict[str, Provider] = {}
        self.frozen = False
        self.session: ResourceContainer | None = None


_store: Final = _Store()


def dependency(function: F) -> F:
    """Register a function, a coroutine function or a generator of either kind under its name.

    Raises:
        MisuseError: after `freeze()`.
    """
    if _store.frozen:
        raise MisuseError(what="the store of dependencies", problem="is frozen", hint="register before freeze()")
    _store.providers[function.__name__] = function
    return function


def freeze() -> None:
    """Refuse further dependencies."""
    _store.frozen = True


def reset_store() -> None:
    """Forget all dependencies; for tests."""
    _store.providers.clear()
    _store.frozen = False


async def enter_session() -> None:
    """Begin to make dependencies without a program; those of a program that runs need no session."""
    _store.session = ResourceContainer()


async def exit_session() -> None:
    """Close the dependencies that were made since `enter_session()`."""
    session, _store.session = _store.session, None
    if session is not None:
        await session.close()


async def inject(
    target: object,
    *,
    dependencies_list: Iterable[str] = (),
    dependencies_map: Mapping[str, str] | None = None,
) -> None:
    """Set attributes of `target` to dependencies.

    Args:
        dependencies_list: their names, which are those of the attributes.
        dependencies_map: names of dependencies to those of attributes.

    Raises:
        MisuseError: a dependency is not registered, or no session and no program is there.
        ResourceError: one could not be made.
    """
    wanted = {name: name for name in dependencies_list} | dict(dependencies_map or {})
    values = await _values(_container(), wanted, type(target).__qualname__)
    for name, attribute in wanted.items():
        setattr(target, attribute, values[name])


def consumer(function: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    """Let a coroutine function be called with its dependencies, those that its caller does not give."""

    @functools.wraps(function)
    async def call(*args: Any, **kwargs: Any) -> Any:
        container = _container()
        given = set(kwargs) | set(list(Signature.from_callable(function).parameters)[: len(args)])
        async with container.bind(function, names=_named(_store.providers), supplied=given).enter(None) as values:
            return await function(*args, **values, **kwargs)

    return call


async def fill_dependencies(entrypoint: Entrypoint, services: Iterable[Service]) -> None:
    """Give services what their `__dependencies__` and `__dependencies_map__` name; before they start.

    What was passed to the constructor stays, and so does the default of a class when nobody has registered the
    dependency.
    """
    for service in services:
        wanted = {name: attribute for name, attribute in _asked(service).items() if attribute not in vars(service)}
        missing = [name for name in wanted if name not in _named(_store.providers)]
        for name in missing:
            if not hasattr(service, wanted[name]):
                raise _unknown(type(service).__qualname__, name)
            del wanted[name]
        values = await _values(entrypoint.resources, wanted, type(service).__qualname__)
        for name, attribute in wanted.items():
            setattr(service, attribute, values[name])


def _asked(service: Service) -> dict[str, str]:
    names: object = getattr(service, "__dependencies__", ())
    table: object = getattr(service, "__dependencies_map__", {})
    if isinstance(names, str) or not isinstance(names, Iterable):
        raise _not_of_type(service, "__dependencies__", names, "a sequence or a set of names")
    if not isinstance(table, Mapping):
        raise _not_of_type(service, "__dependencies_map__", table, "a mapping of names to attributes")
    listed = cast("Iterable[str]", names)  # their names are what is looked up next
    mapped = cast("Mapping[str, str]", table)
    return {name: name for name in listed} | dict(mapped)


def _not_of_type(service: Service, attribute: str, value: object, expected: str) -> InvalidArgumentError:
    return InvalidArgumentError(argument=f"{type(service).__qualname__}.{attribute}", value=value, expected=expected)


async def _values(container: ResourceContainer, names: Iterable[str], user: str) -> dict[str, object]:
    def ask() -> None: ...

    parameters = [Parameter(name, Parameter.KEYWORD_ONLY) for name in names]
    setattr(ask, "__signature__", Signature(parameters))  # noqa: B010  # functions have no such attribute declared
    ask.__qualname__ = user
    try:
        binding = container.bind(ask, names=_named(_store.providers))
    except UnknownResourceError as error:
        raise _unknown(user, error.parameter) from error
    async with binding.enter(None) as values:
        return values


def _container() -> ResourceContainer:
    if _store.session is not None:
        return _store.session
    try:
        return Entrypoint.get_current().resources
    except NoEntrypointError as error:
        hint = "call enter_session(), or run inside an entrypoint"
        raise MisuseError(what="a dependency", problem="has no session", hint=hint) from error


def _named(providers: Mapping[str, Provider]) -> dict[str, Provider]:
    return {"loop": _loop, **providers}


def _loop() -> asyncio.AbstractEventLoop:
    return asyncio.get_running_loop()


def _unknown(user: str, name: str) -> MisuseError:
    hint = f"write `@dependency def {name}(): ...` in a module that is imported before the program starts"
    return MisuseError(what=user, problem=f"needs the dependency {name!r}, which is not registered", hint=hint)
