"""Layers from TOML files, and the line of each key in them."""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final  # Any: what TOML holds

from mainspring.errors import ConfigError
from mainspring.tools._config_layers import Path as KeyPath
from mainspring.tools._config_layers import Tree, grow
from mainspring.tools._values import is_table

_AT_LINE: Final = re.compile(r" \(at line (\d+), column \d+\)$")
_AT_END: Final = " (at end of document)"
_MAY_END_STATEMENT: Final = re.compile(r"""[\]}]|\"{3}|'{3}""")


@dataclass(eq=False, slots=True)
class TomlFile:
    """A file that was read; the lines of its keys are looked for when somebody asks."""

    path: Path
    text: str
    _lines: dict[KeyPath, int] = field(default_factory=dict[KeyPath, int])

    def at(self, path: KeyPath) -> str:
        """Return `file:line` of a key; of the statement around it when it is part of a value."""
        if not self._lines:
            self._lines = key_lines(self.text)
        for length in range(len(path), 0, -1):
            if line := self._lines.get(path[:length]):
                return f"{self.path}:{line}"
        return str(self.path)


def read_layer(path: Path) -> Tree:
    """Return the tree of a TOML file; an empty one when there is no such file.

    Raises:
        ConfigError: it cannot be read, or is no TOML.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")  # some editors begin a file with a mark
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no UTF-8 text"
        raise ConfigError(source=str(path), reason=f"cannot be read: {reason}") from error
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise _not_toml(path, text, str(error)) from error
    return grow(values, TomlFile(path, text))


def _not_toml(path: Path, text: str, message: str) -> ConfigError:
    found = _AT_LINE.search(message)
    line = int(found[1]) if found else text.count("\n") + 1
    said = _AT_LINE.sub("", message).removesuffix(_AT_END)
    return ConfigError(source=f"{path}:{line}", reason=f"this is no TOML: {said[:1].lower()}{said[1:]}")


def key_lines(text: str) -> dict[KeyPath, int]:
    """Return the line on which each key and header of a valid TOML text stands, counted from 1.

    Each statement of TOML is valid TOML by itself, and no beginning of one is: so lines are gathered until
    they parse.
    """
    lines: dict[KeyPath, int] = {}
    header: KeyPath = ()
    statement = ""
    start = 0
    for number, line in enumerate(text.split("\n"), start=1):  # nothing else ends a line of TOML
        if statement and not _MAY_END_STATEMENT.search(line):
            statement += f"\n{line}"
            continue
        statement = f"{statement}\n{line}" if statement else line
        start = start or number
        try:
            found = tomllib.loads(statement)
        except tomllib.TOMLDecodeError:
            continue
        if statement.lstrip().startswith("["):
            header = _header(found)
            lines.setdefault(header, start)
        else:
            for path in _paths(found):
                lines.setdefault((*header, *path), start)
        statement, start = "", 0
    return lines


def _header(found: Mapping[str, Any]) -> KeyPath:  # Any: what TOML holds
    paths = _paths(found)
    return max(paths, key=len)


def _paths(found: Mapping[str, Any], above: KeyPath = ()) -> list[KeyPath]:  # Any: what TOML holds
    paths: list[KeyPath] = []
    for key, value in found.items():
        paths.append((*above, key))
        if is_table(value):
            paths += _paths(value, (*above, key))
    return paths
