"""Checks of arguments that topologies share. Pure."""

import inspect
import os
import stat
from collections.abc import Callable, Sequence
from typing import Any  # Any: callbacks of any form

from mainspring.errors import InvalidArgumentError


def accepts(function: Callable[..., Any], count: int) -> bool:
    """Return whether a callable can be called with `count` arguments."""
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return True  # a builtin that does not tell
    try:
        signature.bind(*range(count))
    except TypeError:
        return False
    return True


def check_choice(argument: str, value: object, choices: Sequence[object]) -> None:
    """Refuse a value that is none of `choices`."""
    if value not in choices:
        words = ", ".join(repr(one) for one in choices)
        raise InvalidArgumentError(argument=argument, value=value, expected=f"one of {words}")


def check_callable(argument: str, value: object, *, optional: bool = False) -> None:
    """Refuse what cannot be called."""
    if not callable(value) and not (optional and value is None):
        raise InvalidArgumentError(argument=argument, value=value, expected="a callable")


def check_int(argument: str, value: object, least: int, most: int) -> None:
    """Refuse what is no int in this range."""
    if type(value) is not int or not least <= value <= most:
        raise InvalidArgumentError(argument=argument, value=value, expected=f"an int from {least} to {most}")


def check_pipes(pipes: Sequence[int]) -> None:
    """Refuse what are not different descriptors of pipes or sockets."""
    if not pipes or len(set(pipes)) < len(pipes) or not all(_is_pipe(fd) for fd in pipes):
        expected = "different open descriptors of pipes or sockets, at least one"
        raise InvalidArgumentError(argument="read_pipes", value=pipes, expected=expected)


def _is_pipe(fd: object) -> bool:
    if type(fd) is not int or fd < 0:
        return False
    try:
        mode = os.fstat(fd).st_mode
    except OSError:
        return False
    return stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)
