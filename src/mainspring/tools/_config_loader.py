"""`ConfigLoader`: settings from files, environment and caller, merged, typed, explained and watched."""

import asyncio
import logging
import os
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self, TypeVar, overload  # Any: a configuration holds whatever its files hold

from mainspring.errors import ConfigError
from mainspring.resilience import check_seconds
from mainspring.tools import _config_environment, _config_files
from mainspring.tools._config_layers import Argument, Config, Tree, dotted, grow, leaves, overlay, plain
from mainspring.tools._config_schema import build, check_kind, join_known, known_keys
from mainspring.tools._secrets import masked
from mainspring.tools._values import check_text

T = TypeVar("T")

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ConfigOrigin:
    """Where one value of a configuration comes from.

    Args:
        key: its dotted key, as `clickhouse.port`.
        value: the value; `repr` and `str` mask it when it is a secret.
        source: the place, as `config.toml:3` or `the environment variable APP__PORT`.
        covers: the places of the same key in lower layers, the nearest first.
    """

    key: str
    value: object = field(repr=False)
    source: str
    covers: tuple[str, ...] = ()

    def __str__(self) -> str:
        shown = masked(self.key, self.value)
        below = f", over {', '.join(self.covers)}" if self.covers else ""
        return f"{self.key} = {shown!r} (from {self.source}{below})"


class ConfigLoader:
    """Loads settings from up to four layers; what stands in a later one wins.

    The layers: `~/CONFIG_DIR/CONFIG_NAME`, `./CONFIG_DIR/CONFIG_NAME` (both TOML, both may be missing), the
    environment variables `PREFIX__...`, and the mapping given to the call. Tables are merged key by key, plain
    values and lists are replaced, and None removes a key. Files and variables are read anew by each call.

    `PREFIX__CLICKHOUSE_PORT` sets `clickhouse.port`: single underscores part the keys, unless the words make up
    a key that the files or the type asked for know (`PREFIX__CLICKHOUSE_POOL_SIZE` with a known `pool_size`).
    `PREFIX__CLICKHOUSE__POOL_SIZE` says the same without doubt. A variable's text is read as JSON; text that is
    no JSON stands for itself.

    Args:
        config_dir: the directory in both places, as `.myproject`; an absolute one is one place.
        config_name: the file in it.
        env_prefix: the prefix of the variables; None reads none.

    Raises:
        InvalidArgumentError: a name is empty.

    Example:
        >>> loader = ConfigLoader(".example-project", "config.toml")
        >>> loader.load_config({"clickhouse": {"port": 8443, "password": "hunter2"}})
        {'clickhouse': {'port': 8443, 'password': '***'}}
    """

    def __init__(self, config_dir: str | Path, config_name: str, env_prefix: str | None = None) -> None:
        check_text("config_name", config_name)
        if env_prefix is not None:
            check_text("env_prefix", env_prefix)
        self._inner = Path(config_dir, config_name)
        self._prefix = env_prefix
        self._has_home = True

    @classmethod
    def from_file(cls, file: str | Path, *, env_prefix: str | None = None) -> Self:
        """Return a loader that reads one file and no other: `file`, relative to the working directory."""
        path = Path(file)
        loader = cls(path.parent, path.name, env_prefix)
        loader._has_home = False
        return loader

    def load_config(self, config: Mapping[str, Any] | None = None) -> Config:  # Any: whatever settings are
        """Return the merged settings: a plain dict in all but its `repr`, which masks secrets.

        Raises:
            ConfigError: a file cannot be read, or a variable cannot be understood; the error names it.
        """
        return plain(self._merged(config))

    def load_config_from_home(self) -> Config:
        """Return the settings of the file below the home directory; empty when there is none."""
        return plain(self._file_layer(self._home()))

    def load_config_from_cwd(self) -> Config:
        """Return the settings of the file below the working directory; empty when there is none."""
        return plain(self._file_layer(self._inner))

    def load_config_from_env(self) -> Config:
        """Return the settings of the environment variables, with None for each key that one removes."""
        return plain(self._environment(self._files(), {}))

    def load(self, kind: type[T], config: Mapping[str, Any] | None = None) -> T:  # Any: whatever settings are
        """Return the merged settings as a record: a msgspec Struct, a dataclass or a TypedDict.

        A variable's text is kept as it is where the field is a `str`, so that a password may be all digits.

        Raises:
            ConfigError: as `load_config`; or a value does not fit its field, or is missing.
            InvalidArgumentError: `kind` is no record type.
        """
        return build(self._merged(config, check_kind(kind)), kind)

    def explain(self, config: Mapping[str, Any] | None = None) -> tuple[ConfigOrigin, ...]:  # Any: as above
        """Return where each value of the merged settings comes from, and what it covers."""
        origins: list[ConfigOrigin] = []
        for path, leaf in leaves(self._merged(config)):
            covers: list[str] = []
            under = leaf.under
            while under is not None:
                covers.append(under.source.at(path))
                under = under.under
            origins.append(ConfigOrigin(dotted(path), leaf.value, leaf.source.at(path), tuple(covers)))
        return tuple(origins)

    @overload
    def watch(self, *, config: Mapping[str, Any] | None = ..., interval: float = ...) -> AsyncGenerator[Config]: ...

    @overload
    def watch(
        self, kind: type[T], *, config: Mapping[str, Any] | None = ..., interval: float = ...
    ) -> AsyncGenerator[T]: ...

    async def watch(
        self, kind: type[Any] | None = None, *, config: Mapping[str, Any] | None = None, interval: float = 2.0
    ) -> AsyncGenerator[Any]:  # Any: a Config, or a record of `kind`
        """Yield the settings, and again whenever they have changed.

        Looks every `interval` seconds, off the loop. Settings that cannot be read leave the last good ones in
        force, with a warning in the log for each new reason.

        Args:
            kind: the record type to load; a `Config` when left out.
            config: the last layer, as for `load_config`.
            interval: seconds between looks, > 0.

        Raises:
            ConfigError: the very first settings cannot be read.
            InvalidArgumentError: an argument is outside its range.
        """
        check_seconds("interval", interval)

        def load() -> object:
            return self.load_config(config) if kind is None else self.load(kind, config)

        current = await asyncio.to_thread(load)
        yield current
        complaint = ""
        while True:
            await asyncio.sleep(interval)
            try:
                found = await asyncio.to_thread(load)
            except ConfigError as error:
                if str(error) != complaint:
                    complaint = str(error)
                    log.warning("the configuration was changed and cannot be used; the last good one stays: %s", error)
                continue
            complaint = ""
            if found != current:
                current = found
                yield current

    def __repr__(self) -> str:
        variables = f", variables {self._prefix}__*" if self._prefix else ""
        return f"<ConfigLoader {self._inner}{variables}>"

    def _merged(self, config: Mapping[str, Any] | None, kind: type[Any] | None = None) -> Tree:  # Any: as above
        tree = self._files()
        known = None if kind is None else known_keys(kind)
        overlay(tree, self._environment(tree, known or {}))
        if config is not None:
            overlay(tree, grow(config, Argument()))
        return tree

    def _files(self) -> Tree:
        tree: Tree = {}
        for path in (self._home(), self._inner):
            overlay(tree, self._file_layer(path))
        return tree

    def _environment(self, lower: Tree, known: _config_environment.Known) -> Tree:
        if self._prefix is None:
            return {}
        everything = join_known(_config_environment.known_keys(lower), known)
        return _config_environment.read_layer(os.environ, self._prefix, everything)

    @staticmethod
    def _file_layer(path: Path | None) -> Tree:
        return {} if path is None else _config_files.read_layer(path)

    def _home(self) -> Path | None:
        if not self._has_home:
            return None
        try:
            return Path.home() / self._inner
        except RuntimeError:  # HOME is unset, and the user has no entry in the password database
            return None
