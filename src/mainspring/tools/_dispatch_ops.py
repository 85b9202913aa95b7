"""Operations: what a command does, as a class with attributes or as a function with parameters."""

import dataclasses
import enum
import inspect
import re
import types
import typing
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any, ClassVar, Final  # Any: states, values and functions are the user's

import msgspec

from mainspring.errors import CommandLineError, InvalidArgumentError
from mainspring.tools._dispatch_args import DArg, bind, check_order, split_words
from mainspring.tools._values import is_class

_ARGS_SECTION: Final = re.compile(r"\n\s*Args:\s*\n(?P<body>(?:[ \t]+\S.*\n?|\s*\n)*)", re.MULTILINE)
_MANY: Final = (
    msgspec.inspect.CollectionType,
    msgspec.inspect.TupleType,
    msgspec.inspect.DictType,
    msgspec.inspect.StructType,
    msgspec.inspect.TypedDictType,
    msgspec.inspect.DataclassType,
    msgspec.inspect.NamedTupleType,
)
_BLANKS: Final = re.compile(r"\n{3,}")
_ARGS_ENTRY: Final = re.compile(r"^\s*\*{0,2}(?P<name>\w+)(?:\s*\([^)]*\))?:\s*(?P<text>.+)$", re.MULTILINE)


@dataclass
class Op:
    """What a command does; subclass it, define `run`, and `argmap` for typed arguments.

    An instance is made for each call. `setup` turns the words into attributes named as the arguments.

    Args:
        state: whatever the caller of the dispatch passes on.
        oargs__: the words after the command, as one text.
        args__: the words after the command, when they are parted already; `oargs__` wins.
    """

    state: Any = None  # Any: the user's
    oargs__: str | None = None
    args__: list[str] = field(default_factory=list[str])
    complaint: ClassVar[str] = ""
    """Why `setup` said no."""

    async def run(self) -> Any:  # Any: the user's
        """Do it; the attributes are set."""
        raise NotImplementedError

    def argmap(self) -> Sequence[DArg]:
        """Return the arguments: all words as `margs` unless a subclass says more."""
        return [DArg("*margs")]

    def setup(self) -> bool:
        """Part, convert and check the words and set the attributes; return whether all is well.

        When it is not, `complaint` says why.
        """
        try:
            words = self.args__ if self.oargs__ is None else split_words(self.oargs__)
            arguments = self.argmap()
            check_order(arguments)
            bind(arguments, words)
        except CommandLineError as misfit:
            self.complaint = str(misfit)  # type: ignore[misc]  # the class holds the empty one
            return False
        for argument in arguments:
            setattr(self, argument.attribute, argument.val)
        return True


def documentation(op: type[Op]) -> str:
    """Return what a class says of itself; nothing when only the dataclass machinery wrote it."""
    text = op.__dict__.get("__doc__") or ""
    generated = dataclasses.is_dataclass(op) and text.startswith(f"{op.__name__}(")
    return "" if generated else inspect.cleandoc(text)


def function_op(function: Callable[..., Any]) -> type[Op]:  # Any: the user's
    """Return an operation that calls a function, its arguments made from the parameters.

    Type hints convert the words, defaults make arguments optional, `*names` takes the rest; a parameter `state`
    gets the state. The docstring is the help, its section `Args:` describes the arguments.

    Raises:
        InvalidArgumentError: a parameter is keyword-only, or its type cannot be made of a word.
    """
    text = inspect.getdoc(function) or ""
    described = _descriptions(text)
    hints = typing.get_type_hints(function)
    parameters = list(inspect.signature(function).parameters.values())
    given = [parameter for parameter in parameters if parameter.name != "state"]
    arguments = tuple(_argument(parameter, hints.get(parameter.name, str), described) for parameter in given)
    in_a_row = {inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD}
    positional = [parameter.name for parameter in parameters if parameter.kind in in_a_row]
    named = [parameter.name for parameter in parameters if parameter.kind is parameter.KEYWORD_ONLY]
    rest = arguments[-1].attribute if arguments and arguments[-1].is_rest else None

    class FunctionOp(Op):
        def argmap(self) -> Sequence[DArg]:
            return arguments

        async def run(self) -> Any:  # Any: the user's
            values = [getattr(self, name) for name in positional]
            values = [None if value is _NOTHING else value for value in values]
            options = {name: getattr(self, name) for name in named}
            result = function(*values, *(getattr(self, rest) if rest else ()), **options)
            return await result if inspect.isawaitable(result) else result

    FunctionOp.__name__ = FunctionOp.__qualname__ = getattr(function, "__name__", "FunctionOp")
    FunctionOp.__doc__ = _BLANKS.sub("\n\n", _ARGS_SECTION.sub("\n\n", text)).strip()
    return FunctionOp


class _Nothing:
    """The default None of a parameter, which for a `DArg` would mean that there is no default."""

    def __str__(self) -> str:
        return "nothing"


_NOTHING: Final = _Nothing()


def _argument(parameter: inspect.Parameter, hint: Any, described: dict[str, str]) -> DArg:  # Any: a type
    name, desc = parameter.name, described.get(parameter.name)
    if parameter.kind in {parameter.KEYWORD_ONLY, parameter.VAR_KEYWORD}:
        raise InvalidArgumentError(
            argument="function", value=name, expected="parameters that words in a row can fill, and `state`"
        )
    convert = _conversion(hint)
    errmsg = None if convert is None else f"expected {_type_name(hint)}"
    if parameter.kind is parameter.VAR_POSITIONAL:
        every = None if convert is None else _for_each(convert)
        return DArg(f"*{name}", convert=every, errmsg=errmsg, desc=desc)
    default = None if parameter.default is parameter.empty else parameter.default
    if default is None and parameter.default is None:
        default = _NOTHING
    return DArg(name, convert=convert, errmsg=errmsg, desc=desc, default=default)


def _for_each(convert: Callable[[str], Any]) -> Callable[[list[str]], list[Any]]:  # Any: the user's types
    return lambda words: [convert(word) for word in words]


def _conversion(hint: object) -> Callable[[str], Any] | None:  # Any: a type in, its instances out
    if hint is str or hint is Any or hint is inspect.Parameter.empty:
        return None
    if hint is int or hint is float or (is_class(hint) and issubclass(hint, PurePath)):
        make: Callable[[str], Any] = hint  # for numbers quicker than the general way, and the same
        return make
    if not _fits_a_word(hint):
        raise InvalidArgumentError(
            argument="function", value=hint, expected="types that can be made of a word: numbers, dates, enums ..."
        )

    def convert(word: str) -> Any:  # Any: an instance of the hint
        return msgspec.convert(word, hint, strict=False)

    return convert


def _fits_a_word(hint: object) -> bool:
    """Tell whether some word may become an instance; none becomes a list, a table or a record."""
    try:
        msgspec.json.schema(hint)
    except TypeError:
        return False
    found = msgspec.inspect.type_info(hint)
    members = found.types if isinstance(found, msgspec.inspect.UnionType) else (found,)
    return not all(isinstance(member, (*_MANY, msgspec.inspect.NoneType)) for member in members)


def _type_name(hint: Any) -> str:  # Any: a type
    if isinstance(hint, type) and issubclass(hint, enum.Enum):
        return f"one of {', '.join(str(member.value) for member in hint)}"
    if typing.get_origin(hint) in {typing.Union, types.UnionType}:
        return " or ".join(_type_name(member) for member in typing.get_args(hint) if member is not types.NoneType)
    return hint.__name__ if isinstance(hint, type) else str(hint).replace("typing.", "")


def _descriptions(text: str) -> dict[str, str]:
    section = _ARGS_SECTION.search(text)
    return {entry["name"]: entry["text"] for entry in _ARGS_ENTRY.finditer(section["body"])} if section else {}
