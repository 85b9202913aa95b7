"""Layers of configuration: trees whose leaves know where they come from, laid over one another.

A configuration is the set of its leaves. A leaf of a later layer wins over whatever lies at, above or below
its place; a leaf whose value is None removes what is there; tables exist by their leaves only, so an empty
one says nothing. Lists are leaves: they are replaced as a whole.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol, TypeAlias  # Any: a configuration holds whatever its files hold

from mainspring.errors import ConfigError, InvalidArgumentError
from mainspring.tools._secrets import masked
from mainspring.tools._values import is_list, is_table

Path: TypeAlias = tuple[str, ...]
Tree: TypeAlias = dict[str, "Tree | Leaf"]


class Source(Protocol):
    """Where a layer comes from."""

    def at(self, path: Path) -> str:
        """Return the place of one key in words, as `config.toml:3`."""
        ...


@dataclass(frozen=True, slots=True)
class Argument:
    """The mapping that the caller gave."""

    def at(self, path: Path) -> str:
        """Return the place of one key in words."""
        return "the config argument"


@dataclass(frozen=True, slots=True)
class Leaf:
    """One value; `text` is how the environment spelled it, `under` what it covers in lower layers."""

    value: object
    source: Source
    text: str | None = None
    under: "Leaf | None" = None


class Config(dict[str, Any]):  # Any: a configuration holds whatever its files hold
    """A loaded configuration: a dict of values and tables whose `repr` shows no secret."""

    __slots__ = ()

    def __repr__(self) -> str:
        return repr(masked("", self))


def dotted(path: Path) -> str:
    """Return a path as one dotted key, its unusual parts in quotes."""
    return ".".join(part if part.replace("-", "_").isidentifier() or part.isdigit() else f'"{part}"' for part in path)


def grow(values: Mapping[str, Any], source: Source, *, text: str | None = None, above: Path = ()) -> Tree:
    """Return the tree of a mapping; its tables and lists are copied.

    Raises:
        ConfigError: a key is no text.
        InvalidArgumentError: it is no mapping.
    """
    if not is_table(values):
        raise InvalidArgumentError(argument="config", value=values, expected="a mapping, or None")
    tree: Tree = {}
    for key, value in values.items():
        path = (*above, key)
        if type(key) is not str:
            reason = f"a key is the {type(key).__name__} {key!r}, and keys are text"
            raise ConfigError(source=source.at(above), key=dotted(above), reason=reason)
        if not is_table(value):
            tree[key] = Leaf(_copied(value), source, text)
        elif table := grow(value, source, text=text, above=path):
            tree[key] = table
    return tree


def _copied(value: object) -> object:
    if is_list(value):
        return [_copied(inner) for inner in value]
    if is_table(value):
        return {key: _copied(inner) for key, inner in value.items()}
    return value


def overlay(base: Tree, upper: Tree) -> None:
    """Lay a later layer over `base`, in place."""
    for key, new in upper.items():
        old = base.get(key)
        if isinstance(new, Leaf):
            if new.value is None:
                base.pop(key, None)
            else:
                base[key] = replace(new, under=old if isinstance(old, Leaf) else None)
            continue
        table = old if isinstance(old, dict) else {}
        overlay(table, new)
        if table:
            base[key] = table
        elif table is old:
            del base[key]


def leaves(tree: Tree, above: Path = ()) -> Iterator[tuple[Path, Leaf]]:
    """Yield each leaf with its path."""
    for key, node in tree.items():
        if isinstance(node, Leaf):
            yield (*above, key), node
        else:
            yield from leaves(node, (*above, key))


def plain(tree: Tree) -> Config:
    """Return the values of a tree; no table or list of it is shared with the tree."""
    return Config((key, _copied(node.value) if isinstance(node, Leaf) else plain(node)) for key, node in tree.items())
