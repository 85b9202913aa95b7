"""What the environment says about a program, read when an entrypoint is constructed."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self, TypeAlias

from mainspring.base import parse_bool, parse_duration
from mainspring.errors import InvalidArgumentError

VariableNames: TypeAlias = Callable[[str], Sequence[str]]


def variable_names(setting: str) -> Sequence[str]:
    """Return the names of the variables that are read for a setting, the first that is set wins."""
    return (f"MAINSPRING_{setting.upper()}",)


@dataclass(frozen=True, slots=True)
class Settings:
    """The variables `MAINSPRING_NAME` of the runtime, with their defaults. Durations are seconds."""

    log_level: str = "info"
    log_format: str | None = None
    log_date_format: str | None = None
    log_config: bool = True
    log_flush: float = 0.2
    log_buffering: bool = True
    log_buffer_size: int = 1024
    pool_size: int | None = None
    use_uvloop: bool = True
    shutdown_timeout: float = 60.0
    debug: bool = False
    no_plugins: bool = False
    plugins: tuple[str, ...] | None = None
    gc_threshold: int = 0

    @classmethod
    def from_environment(
        cls, environment: Mapping[str, str] | None = None, *, names: VariableNames = variable_names
    ) -> Self:
        """Read the variables; those that are absent or empty keep their default.

        Args:
            environment: default: that of the process.
            names: says which variables to read for a setting.

        Raises:
            InvalidArgumentError: a variable cannot be read; the error names it.
        """
        found = os.environ if environment is None else environment
        values: dict[str, Any] = {}  # Any: each field has a type of its own
        for name, read in _READERS.items():
            for source in names(name):
                if text := found.get(source, "").strip():
                    values[name] = read(text, source)
                    break
        return cls(**values)


def _text(text: str, source: str) -> str:
    return text


def _integer(text: str, source: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise InvalidArgumentError(argument=source, value=text, expected="a whole number") from None


def _names(text: str, source: str) -> tuple[str, ...]:
    return tuple(name for part in text.split(",") if (name := part.strip()))


def _bool(text: str, source: str) -> bool:
    return parse_bool(text, source=source)


def _seconds(text: str, source: str) -> float:
    return parse_duration(text, source=source)


_READERS: Final[Mapping[str, Callable[[str, str], object]]] = {
    "log_level": _text,
    "log_format": _text,
    "log_date_format": _text,
    "log_config": _bool,
    "log_flush": _seconds,
    "log_buffering": _bool,
    "log_buffer_size": _integer,
    "pool_size": _integer,
    "use_uvloop": _bool,
    "shutdown_timeout": _seconds,
    "debug": _bool,
    "no_plugins": _bool,
    "plugins": _names,
    "gc_threshold": _integer,
}
