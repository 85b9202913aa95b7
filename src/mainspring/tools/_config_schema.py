"""Typed configuration: the keys that a record type knows, and values that fit its fields."""

import dataclasses
import enum
import types
import typing
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any, TypeVar  # Any: types are handled as values here

import msgspec

from mainspring.errors import ConfigError, InvalidArgumentError
from mainspring.tools._config_environment import Known
from mainspring.tools._config_layers import Leaf, Path, Tree, dotted, leaves
from mainspring.tools._secrets import MASK, is_secret
from mainspring.tools._values import is_class

T = TypeVar("T")


def check_kind(kind: type[T]) -> type[T]:
    """Return `kind` if it is a record type that a configuration can be loaded into."""
    if fields_of(kind) is None:
        raise InvalidArgumentError(argument="kind", value=kind, expected="a msgspec Struct, a dataclass or a TypedDict")
    return kind


def fields_of(kind: Any) -> dict[str, Any] | None:  # Any: types are handled as values here
    """Return the keys and types of a record type's fields; None when it is no record type."""
    origin: object = typing.get_origin(kind) or kind
    if not is_class(origin):
        return None
    if issubclass(origin, msgspec.Struct):
        return {field.encode_name: field.type for field in msgspec.structs.fields(kind)}
    if dataclasses.is_dataclass(origin):
        hints = typing.get_type_hints(origin, include_extras=True)
        return {field.name: hints[field.name] for field in dataclasses.fields(origin)}
    if typing.is_typeddict(origin):
        return typing.get_type_hints(origin, include_extras=True)
    return None


def members(kind: Any) -> Iterator[Any]:  # Any: types are handled as values here
    """Yield the types that a type may stand for: those of a union, what is annotated or required."""
    origin = typing.get_origin(kind)
    if origin in {typing.Union, types.UnionType}:
        for member in typing.get_args(kind):
            yield from members(member)
    elif origin in {typing.Annotated, typing.Required, typing.NotRequired}:
        yield from members(typing.get_args(kind)[0])
    else:
        yield kind


def known_keys(kind: Any, above: tuple[Any, ...] = ()) -> Known | None:  # Any: types are handled as values here
    """Return the keys that a type knows: None when it is no table, an empty table when it takes any key."""
    known: Known | None = None
    for member in members(kind):
        fields = fields_of(member)
        if fields is not None and member not in above:
            inner = {key: known_keys(field, (*above, member)) for key, field in fields.items()}
            known = {**(known or {}), **inner}
        elif fields is not None or _is_mapping(member):
            known = known or {}
    return known


def _is_mapping(kind: Any) -> bool:  # Any: types are handled as values here
    origin: object = typing.get_origin(kind) or kind
    return is_class(origin) and issubclass(origin, Mapping)


def type_at(kind: Any, path: Path) -> Any:  # Any: types are handled as values here
    """Return the type that a record type has at a path; None when it says nothing about it."""
    if not path:
        return kind
    for member in members(kind):
        fields = fields_of(member)
        arguments = typing.get_args(member)
        if fields is not None and path[0] in fields:
            return type_at(fields[path[0]], path[1:])
        if fields is None and _is_mapping(member) and len(arguments) == 2:
            return type_at(arguments[1], path[1:])
    return None


def join_known(first: Known, second: Known) -> Known:
    """Return the keys that either of two knows."""
    joined = dict(first)
    for key, inner in second.items():
        there = joined.get(key)
        joined[key] = join_known(there, inner) if there is not None and inner is not None else (inner or there)
    return joined


def build(tree: Tree, kind: type[T]) -> T:
    """Return the record that a tree describes.

    Raises:
        ConfigError: a value does not fit its field, or one is missing; the error names the place.
    """
    try:
        return msgspec.convert(_fitting(tree, kind, ()), kind, strict=False)
    except msgspec.ValidationError as error:
        raise _misfit(tree, kind, str(error)) from None  # the first error may quote a secret


def _fitting(tree: Tree, kind: Any, above: Path) -> dict[str, object]:  # Any: types are handled as values here
    return {
        key: _value(node, type_at(kind, (*above, key)))
        if isinstance(node, Leaf)
        else _fitting(node, kind, (*above, key))
        for key, node in tree.items()
    }


def _value(leaf: Leaf, kind: Any) -> object:  # Any: types are handled as values here
    """Return a leaf's value; the text of a variable when its field wants that: a password may be all digits."""
    if leaf.text is None or kind is None or not isinstance(leaf.value, int | float):
        return leaf.value
    if any(member is Decimal for member in members(kind)):
        return leaf.text
    try:
        msgspec.convert(leaf.value, kind, strict=False)
    except msgspec.ValidationError:
        return leaf.text
    return leaf.value


def _misfit(tree: Tree, kind: Any, message: str) -> ConfigError:  # Any: types are handled as values here
    reason, _, place = message.partition(" - at `$")
    path: Path = tuple(place.removesuffix("`").split("[")[0].strip(".").split(".")) if place.startswith(".") else ()
    within = [(found, leaf) for found, leaf in leaves(tree) if found[: len(path)] == path]
    places = list(dict.fromkeys(leaf.source.at(found) for found, leaf in within))
    if any(is_secret(part) for found, _ in [*within, (path, None)] for part in found):
        reason = _without_quotes(reason)
    choices = _choices(type_at(kind, path)) if reason.startswith("Invalid enum value") else []
    if choices:
        reason += f", expected one of {', '.join(map(repr, choices))}"
    return ConfigError(
        source=", ".join(places) if 0 < len(places) <= 3 else "the configuration",
        key=dotted(path),
        reason=f"{reason[:1].lower()}{reason[1:]}",
    )


def _choices(kind: Any) -> list[object]:  # Any: types are handled as values here
    """Return the values that a type names one by one."""
    found: list[object] = []
    for member in members(kind):
        if typing.get_origin(member) is typing.Literal:
            found += typing.get_args(member)
        elif is_class(member) and issubclass(member, enum.Enum):
            found += [one.value for one in member]
    return found


def _without_quotes(reason: str) -> str:
    """Hide what an error quotes from the value; names of types and fields stand in backquotes and stay."""
    parts = reason.replace('"', "'").split("'")
    return reason if len(parts) < 3 else f"{parts[0]}{MASK}{parts[-1]}"
