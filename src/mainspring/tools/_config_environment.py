"""The layer from environment variables: which key a variable names, and what its text means."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from mainspring.errors import ConfigError
from mainspring.tools._config_layers import Leaf, Path, Tree, dotted, grow, leaves
from mainspring.tools._secrets import snake_case

Known: TypeAlias = dict[str, "Known | None"]
"""Keys that exist, as far as one knows: a table has those within it, a plain value None."""


@dataclass(frozen=True, slots=True)
class Variable:
    """One environment variable."""

    name: str

    def at(self, path: Path) -> str:
        """Return the place of one key in words."""
        return f"the environment variable {self.name}"


def known_keys(tree: Tree) -> Known:
    """Return the keys of a tree."""
    return {key: None if isinstance(node, Leaf) else known_keys(node) for key, node in tree.items()}


def read_layer(environment: Mapping[str, str], prefix: str, known: Known) -> Tree:
    """Return the tree that the variables `PREFIX__...` describe.

    Raises:
        ConfigError: a variable names no key, or two say different things about one.
    """
    tree: Tree = {}
    owners: dict[Path, str] = {}
    for name in sorted(environment):
        if not name.startswith(f"{prefix}__"):
            continue
        path = key_path(name, prefix, known)
        text = environment[name]
        values = {path[-1]: parse_value(text)}
        for key in reversed(path[:-1]):
            values = {key: values}
        layer = grow(values, Variable(name), text=text)
        _check_alone(name, layer, owners)
        _join(tree, layer)
    return tree


def _join(tree: Tree, layer: Tree) -> None:
    """Join two trees that share no leaf; a None stays, for it is a deletion in the layers below."""
    for key, node in layer.items():
        there = tree.get(key)
        if isinstance(node, dict) and isinstance(there, dict):
            _join(there, node)
        else:
            tree[key] = node


def key_path(name: str, prefix: str, known: Known) -> Path:
    """Return the path of the key that a variable names.

    After the prefix, further double underscores part the keys; without them single ones do, except where the
    words make up a key that is known.

    Raises:
        ConfigError: a part is empty.
    """
    parts = name[len(prefix) + 2 :].split("__")
    if not all(word for part in parts for word in part.split("_")):
        raise ConfigError(
            source=Variable(name).at(()),
            reason="it names no key: a part between its underscores is empty",
            hint=f"write {prefix}__TABLE_KEY, or {prefix}__TABLE__LONG_KEY when a name has underscores of its own",
        )
    words = [snake_case(word) for word in (parts if len(parts) > 1 else parts[0].split("_"))]
    return _explicit(words, known) if len(parts) > 1 else _resolve(words, known)


def _explicit(words: Sequence[str], known: Known | None) -> Path:
    path: Path = ()
    for word in words:
        key = _match(word, known) or word
        known = known.get(key) if known else None
        path = (*path, key)
    return path


def _resolve(words: Sequence[str], known: Known) -> Path:
    """Return the path of known keys that the words make up; else follow the longest known table, then split."""
    return _full_match(words, known) or _partial_match(words, known)


def _full_match(words: Sequence[str], known: Known) -> Path | None:
    for length in range(len(words), 0, -1):
        key = _match("_".join(words[:length]), known)
        if key is None:
            continue
        if length == len(words):
            return (key,)
        inner = known[key]
        rest = _full_match(words[length:], inner) if inner else None
        if rest is not None:
            return (key, *rest)
    return None


def _partial_match(words: Sequence[str], known: Known) -> Path:
    for length in range(len(words) - 1, 0, -1):
        key = _match("_".join(words[:length]), known)
        inner = None if key is None else known[key]
        if key is not None and inner is not None:
            return (key, *_partial_match(words[length:], inner))
    return tuple(words)


def _match(word: str, known: Known | None) -> str | None:
    if not known or word in known:
        return word if known else None
    return next((key for key in known if snake_case(key) == word), None)


def parse_value(text: str) -> object:
    """Return what a variable's text means: JSON, or the text itself when it is none."""
    try:
        return json.loads(text, parse_constant=_no_json)
    except (ValueError, RecursionError):
        return text


def _no_json(name: str) -> object:
    raise ValueError(name)


def _check_alone(name: str, layer: Tree, owners: dict[Path, str]) -> None:
    """Note the leaves of a variable in `owners`; refuse one at, above or below a leaf of another variable."""
    found = [path for path, _ in leaves(layer)]
    for path in found:
        for other, owner in owners.items():
            shared = min(len(path), len(other))
            if path[:shared] == other[:shared]:
                raise ConfigError(
                    source=f"the environment variables {owner} and {name}",
                    key=dotted(path[:shared]),
                    reason="both set it, and no order says which one wins",
                    hint="unset one of them",
                )
    owners.update(dict.fromkeys(found, name))
