"""What a function asks for: its parameters, and the providers that its annotations name."""

import builtins
import inspect
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import lru_cache
from typing import Annotated, Any, get_args, get_origin

from mainspring.errors import UnknownResourceError
from mainspring.runtime._provider import lender_of
from mainspring.runtime._resource import Provider, Resource, resource_mark


class _Unknown:
    """Stands for a name that exists only while types are checked; takes part in any annotation."""

    def __call__(self, *args: object) -> "_Unknown":
        return self

    __getitem__ = __or__ = __ror__ = __call__

    def __getattr__(self, name: str) -> "_Unknown":
        if name.startswith("__"):
            raise AttributeError(name)
        return self


class _Names(dict[str, Any]):  # Any: a namespace
    def __init__(self, scope: Mapping[str, Any]) -> None:
        super().__init__(vars(builtins))
        self.update(scope)

    def __missing__(self, name: str) -> object:
        return _Unknown()


@dataclass(frozen=True, slots=True)
class Asked:
    """One parameter (or attribute) that wants a value."""

    name: str
    provider: Provider | None
    has_default: bool


def asked_by(function: Callable[..., Any]) -> tuple[list[Asked], bool]:  # Any: any user's function
    """Return the parameters of `function` that can be passed by name, and whether it takes any others."""
    asked: list[Asked] = []
    takes_any = False
    scope = _scope_of(function)
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind is parameter.VAR_KEYWORD:
            takes_any = True
        if parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
            provider = _provider_in(parameter.annotation, scope)
            asked.append(Asked(parameter.name, provider, parameter.default is not parameter.empty))
    return asked, takes_any


@lru_cache(maxsize=1024)
def attributes_asked_by(kind: type) -> tuple[Asked, ...]:
    """Return the annotated attributes of a class (its bases first) that name a provider, or have no value yet."""
    found: dict[str, Asked] = {}
    for base in reversed(kind.__mro__):
        scope = vars(inspect.getmodule(base) or builtins)
        for name, annotation in inspect.get_annotations(base).items():
            provider = _provider_in(annotation, scope)
            has_default = hasattr(kind, name)
            if provider is not None or not has_default:
                found[name] = Asked(name, provider, has_default)
    return tuple(found.values())


def _scope_of(function: Callable[..., Any]) -> Mapping[str, Any]:
    plain = inspect.unwrap(getattr(function, "func", function))
    if isinstance(plain, type):
        plain = vars(plain).get("__init__", plain)
    own: Mapping[str, Any] | None = getattr(plain, "__globals__", None)
    return own or getattr(type(plain).__call__, "__globals__", {})


def _provider_in(annotation: object, scope: Mapping[str, Any]) -> Provider | None:
    if isinstance(annotation, str):
        if "Annotated" not in annotation:
            return None
        annotation = eval(annotation, {}, _Names(scope))  # the user's own annotation
    if get_origin(annotation) is not Annotated:
        return None
    return next((item for item in get_args(annotation)[1:] if _is_provider(item)), None)


def _is_provider(item: object) -> bool:
    if isinstance(item, type):
        return issubclass(item, Resource)
    return isinstance(item, Resource) or resource_mark(item) is not None or lender_of(item) is not None


def choose(asked: Asked, function: str, *, names: Mapping[str, Provider], supplied: Collection[str]) -> Provider | None:
    """Return the provider for one parameter, or None when its default stands.

    Raises:
        UnknownResourceError: nothing says what to pass, and there is no default.
    """
    if asked.provider is not None:
        return asked.provider
    if asked.name in names:
        return names[asked.name]
    if asked.has_default:
        return None
    known = sorted({*names, *supplied})
    near = get_close_matches(asked.name, known, n=1)
    hint = f"did you mean {near[0]!r}?" if near else "annotate it: Annotated[Type, provider]"
    raise UnknownResourceError(parameter=asked.name, function=function, known=known, hint=hint)
