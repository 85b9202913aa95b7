"""`Dispatch`: commands found by their names or unique beginnings, run with typed arguments, with help."""

from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, TypeAlias, TypeVar  # Any: states, values and functions are the user's

from mainspring.errors import InvalidArgumentError
from mainspring.tools._dispatch_args import help_text, signature
from mainspring.tools._dispatch_ops import Op, documentation, function_op
from mainspring.tools._values import is_class, is_table

Function = TypeVar("Function", bound=Callable[..., Any])
Operations: TypeAlias = Mapping[str, type[Op] | None]


class DispatchStatus(Enum):
    """What became of a line."""

    DONE = "done"
    """The operation ran."""
    HELP = "help"
    """Help was asked for."""
    AMBIGUOUS = "ambiguous"
    """Several commands begin with the word."""
    UNKNOWN = "unknown"
    """No command begins with the word."""
    INVALID = "invalid"
    """The arguments do not fit."""
    UNIMPLEMENTED = "unimplemented"
    """The command has a name and nothing behind it."""


@dataclass(frozen=True, slots=True)
class DispatchResult:
    """What became of a line; printing it is the caller's.

    Args:
        status: what happened.
        command: the full name of the command; empty when none was found.
        value: what the operation returned.
        text: what to tell the user: the help, the complaint, the choices; empty when the operation ran.
        choices: the commands that begin with the word, when several do.
    """

    status: DispatchStatus
    command: str = ""
    value: Any = None  # Any: the user's
    text: str = ""
    choices: tuple[str, ...] = ()


class Dispatch:
    """Commands by name: found by any unique beginning, with help for each.

    Args:
        opcodes: names and their `Op` classes, or categories and mappings of such, mixed; None for a command that
            is to come.

    Raises:
        InvalidArgumentError: a name is given twice, or has blanks or a `?` at its end; what it names is no `Op`.

    Example:
        >>> import asyncio
        >>> commands = Dispatch()
        >>> @commands.command()
        ... async def add(first: int, second: int = 1) -> int:
        ...     "Add two numbers."
        ...     return first + second
        >>> asyncio.run(commands.run("a", "40 2")).value
        42
        >>> asyncio.run(commands.run("add", "forty")).text
        "Argument 1 (first) cannot be 'forty': expected int"
    """

    def __init__(self, opcodes: Mapping[str, type[Op] | Operations | None] | None = None) -> None:
        self._operations: dict[str, type[Op] | None] = {}
        self._names: list[str] = []
        self._categories: dict[str, list[str]] = {}
        for name, value in (opcodes or {}).items():
            if is_table(value):
                for inner, operation in value.items():
                    self._add(inner, operation, name)
            else:
                self._add(name, value, None)
        self._names.sort()

    @property
    def commands(self) -> tuple[str, ...]:
        """All names, sorted."""
        return tuple(self._names)

    @property
    def categories(self) -> dict[str, tuple[str, ...]]:
        """The sorted names of each category."""
        return {category: tuple(sorted(names)) for category, names in self._categories.items()}

    def command(self, name: str | None = None, *, category: str | None = None) -> Callable[[Function], Function]:
        """Register a function, async or not, as a command; the decorated function is returned unchanged.

        Parameters become arguments: type hints convert words, defaults make them optional, `*rest` takes what is
        left, `state` gets the state. The docstring is the help.

        Args:
            name: the command; the function's name, with hyphens for underscores, when left out.
            category: where the help lists it.

        Raises:
            InvalidArgumentError: the name is taken, or a parameter cannot be filled from words.
        """

        def register(function: Function) -> Function:
            self._add(
                name if name is not None else function.__name__.replace("_", "-"), function_op(function), category
            )
            self._names.sort()
            return function

        return register

    def find(self, word: str) -> tuple[str, ...]:
        """Return the commands that a word may mean: the one of that very name, else all that begin with it."""
        if word in self._operations:
            return (word,)
        first = bisect_left(self._names, word)
        last = bisect_left(self._names, f"{word}\U0010ffff", lo=first)
        return tuple(self._names[first:last])

    def complete(self, line: str) -> tuple[str, ...]:
        """Return the commands that the line so far may become; none once the first word has ended."""
        word = line.lstrip()
        if " " in word:
            return ()
        first = bisect_left(self._names, word)
        return tuple(self._names[first : bisect_left(self._names, f"{word}\U0010ffff", lo=first)])

    def operation(self, command: str) -> type[Op] | None:
        """Return the class behind a full name; None when there is none yet."""
        return self._operations[command]

    def signature(self, command: str) -> str:
        """Return the short form of a command, as `buy :: symbol *rest`."""
        operation = self._operations[command]
        return signature(command, [] if operation is None else operation().argmap())

    def help(self, command: str) -> str:
        """Return the help of a command, by its full name."""
        operation = self._operations[command]
        if operation is None:
            return _unimplemented(command)
        return help_text(command, operation().argmap(), documentation(operation))

    def overview(self) -> str:
        """Return all commands by category."""
        grouped = {name for names in self._categories.values() for name in names}
        groups = {**self.categories, "Other": tuple(name for name in self._names if name not in grouped)}
        lines: list[str] = []
        for category, names in groups.items():
            lines += [f"{category}:", *(f"\t- {name}" for name in names)] if names else []
        return "\n".join(lines)

    async def run(
        self,
        command: str,
        arguments: str | Sequence[str] | None = None,
        *,
        state: Any = None,  # Any: the user's
    ) -> DispatchResult:
        """Find a command, fit its arguments, run it.

        Whatever the user's line does wrong is a result, not an exception; exceptions of the operation pass.

        Args:
            command: a name or the unique beginning of one; with a `?` at its end for help.
            arguments: the words after it, parted as a shell would; or a sequence of words.
            state: passed to the operation.
        """
        wants_help = command.endswith("?")
        word = command.removesuffix("?")
        found = self.find(word) if word else ()
        if len(found) != 1:
            return self._not_found(word, found, wants_help=wants_help)
        name = found[0]
        operation = self._operations[name]
        if operation is None:
            return DispatchResult(DispatchStatus.UNIMPLEMENTED, name, text=_unimplemented(name))
        if wants_help:
            return DispatchResult(DispatchStatus.HELP, name, text=self.help(name))
        if arguments is None or isinstance(arguments, str):
            op = operation(state, arguments or "")
        else:
            op = operation(state, None, list(arguments))
        if not op.setup():
            return DispatchResult(DispatchStatus.INVALID, name, text=op.complaint)
        return DispatchResult(DispatchStatus.DONE, name, await op.run())

    async def run_line(self, line: str, *, state: Any = None) -> DispatchResult:  # Any: the user's
        """Run a line whose first word is the command."""
        words = line.strip().split(None, 1)
        return await self.run(words[0] if words else "", words[1] if len(words) > 1 else "", state=state)

    def __repr__(self) -> str:
        return f"<Dispatch {len(self._names)} commands in {len(self._categories)} categories>"

    def _add(self, name: object, operation: object, category: str | None) -> None:
        if not isinstance(name, str) or name.split() != [name] or name.endswith("?"):
            raise InvalidArgumentError(argument="name", value=name, expected="one word that does not end in ?")
        if operation is not None and not (is_class(operation) and issubclass(operation, Op)):
            raise InvalidArgumentError(argument=f"opcodes[{name!r}]", value=operation, expected="an Op class, or None")
        if name in self._operations:
            raise InvalidArgumentError(argument="name", value=name, expected="a name that no other command has")
        self._operations[name] = operation
        self._names.append(name)
        if category is not None:
            self._categories.setdefault(category, []).append(name)

    def _not_found(self, word: str, found: tuple[str, ...], *, wants_help: bool) -> DispatchResult:
        if found:
            text = f"Completion choices: {', '.join(found)}"
            return DispatchResult(DispatchStatus.AMBIGUOUS, text=text, choices=found)
        text = f"All commands: {', '.join(self._names)}"
        if wants_help:
            return DispatchResult(DispatchStatus.HELP, text=f"{text}\n{self.overview()}")
        return DispatchResult(DispatchStatus.UNKNOWN, text=text)


def _unimplemented(command: str) -> str:
    return f"[{command}] Operation exists but has no implementation!"
