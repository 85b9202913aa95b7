"""Arguments of commands: what one is, and how the words of a line become values."""

import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final  # Any: values are whatever the conversions make

from mainspring.errors import CommandLineError, InvalidArgumentError

RESERVED: Final = frozenset({"argmap", "args__", "complaint", "oargs__", "run", "setup", "state"})
"""Names that an argument cannot have, since each becomes an attribute of its `Op`."""

_QUOTING: Final = re.compile(r"[\"'\\]")
_WORD: Final = re.compile(r"[^ \t\r\n]+")


@dataclass(slots=True)
class DArg:
    """One argument of a command.

    Args:
        name: the attribute of the `Op` that gets the value; with a leading `*` the argument takes all words that
            are left, as a list, which may be empty.
        convert: makes the value of the word; of the whole list for `*name`. The word stays text when left out.
        verify: tells whether the converted value is good.
        errmsg: what to say when it is not.
        val: the value, once validated.
        desc: what the argument means, for the help.
        default: the value when there is no word, taken as it is; None makes the argument required.

    Raises:
        InvalidArgumentError: the name is none, or one that an `Op` uses itself, as `state`.
    """

    name: str
    convert: Callable[[Any], Any] | None = None  # Any: a word or list in, a value out
    verify: Callable[[Any], object] | None = None  # Any: as above
    errmsg: str | None = None
    val: Any = None  # Any: as above
    desc: str | None = None
    default: Any = None  # Any: as above

    def __post_init__(self) -> None:
        if not self.attribute.isidentifier() or self.attribute in RESERVED:
            raise InvalidArgumentError(
                argument="name", value=self.name, expected=f"a name other than {', '.join(sorted(RESERVED))}"
            )

    @property
    def is_rest(self) -> bool:
        """Whether it takes all words that are left."""
        return self.name.startswith("*")

    @property
    def attribute(self) -> str:
        """The name without the star."""
        return self.name.removeprefix("*")

    def validate(self, word: Any) -> bool:  # Any: a word, a list of words, or None
        """Set `val` from a word, or from the default when the word is None; return whether it is good.

        An exception of `convert` or `verify` means that it is not.
        """
        if word is None:
            self.val = self.default
            return True
        try:
            value = word if self.convert is None else self.convert(word)
            good = self.verify is None or bool(self.verify(value))
        except Exception:  # noqa: BLE001  # supervisor: a user's conversion may fail in any way, and says no by it
            return False
        if good:
            self.val = value
        return good


def split_words(line: str) -> list[str]:
    """Return the words of a line as a shell would part them; `#` is a character like any other.

    Raises:
        CommandLineError: a quote is not closed, or a backslash is the last character.
    """
    if not _QUOTING.search(line):
        return _WORD.findall(line)
    try:
        return shlex.split(line)
    except ValueError as error:
        said = str(error)
        raise CommandLineError(reason=f"Cannot split the arguments: {said[:1].lower()}{said[1:]}") from None


def check_order(arguments: Sequence[DArg]) -> None:
    """See that required arguments stand first and a rest last.

    Raises:
        CommandLineError: they do not.
    """
    optional = ""
    for place, argument in enumerate(arguments):
        if argument.is_rest and place < len(arguments) - 1:
            raise CommandLineError(reason=f"Argument {argument.name} takes all that is left and must be the last")
        if argument.default is not None:
            optional = argument.name
        elif optional and not argument.is_rest:
            raise CommandLineError(
                reason=f"Required argument {argument.name} stands after {optional}, which has a default"
            )


def bind(arguments: Sequence[DArg], words: Sequence[str]) -> None:
    """Set the `val` of each argument from the words.

    Raises:
        CommandLineError: there are too few words, too many, or one is not good; the text says which.
    """
    rest = arguments[-1] if arguments and arguments[-1].is_rest else None
    single = arguments[:-1] if rest is not None else arguments
    needed = len(single)
    while needed and single[needed - 1].default is not None:  # required ones stand first
        needed -= 1
    if len(words) < needed:
        raise CommandLineError(reason=f"Not enough arguments provided! Expected: {_names(arguments)}")
    if rest is None and len(words) > len(single):
        expected = _names(arguments) or "none"
        raise CommandLineError(reason=f"Too many arguments provided ({len(words)})! Expected: {expected}")
    for place, argument in enumerate(single):
        _validate(place, argument, words[place] if place < len(words) else None)
    if rest is not None:
        left = list(words[len(single) :])
        _validate(len(single), rest, left if left or rest.default is None else None)


def _names(arguments: Sequence[DArg]) -> str:
    return " ".join(argument.name for argument in arguments)


def _validate(place: int, argument: DArg, word: str | list[str] | None) -> None:
    if not argument.validate(word):
        why = f": {argument.errmsg}" if argument.errmsg else ""
        raise CommandLineError(reason=f"Argument {place + 1} ({argument.name}) cannot be {word!r}{why}")


def signature(command: str, arguments: Sequence[DArg]) -> str:
    """Return the short form of a command, as `buy :: symbol *rest`."""
    return " ".join([command, "::", *(argument.name for argument in arguments)])


def help_text(command: str, arguments: Sequence[DArg], documentation: str) -> str:
    """Return what the help says about a command."""
    usage = [f"[{signature(command, arguments)}] Command: {command}", *(_usage(argument) for argument in arguments)]
    lines = [" ".join(usage)]
    lines += [documentation.strip()] if documentation.strip() else []
    for argument in arguments:
        facts: Mapping[str, object] = {
            "": argument.desc,
            "Default value: ": argument.default,
            "Error: ": argument.errmsg,
        }
        said = [f"    {label}{fact}" for label, fact in facts.items() if fact is not None]
        lines += [f"  {argument.name}", *said] if said else []
    return "\n".join(lines)


def _usage(argument: DArg) -> str:
    if argument.is_rest:
        return f"[{argument.name}]"
    if argument.default is None:
        return f"<{argument.name}>"
    return f'[{argument.name} default="{argument.default}"]'
