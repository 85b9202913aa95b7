"""The root of the error tree: facts by keyword, a composed sentence, and safe travel between processes."""

from typing import Any, Self, TypeVar  # Any: facts are whatever the subclass documents

_DOOR = "mainspring.errors"


class MainspringError(Exception):
    """Root of every error that mainspring raises.

    A subclass takes its facts by keyword, composes one sentence from them and calls
    `super().__init__(sentence, hint=..., **facts)`. Each fact becomes an attribute, the hint becomes a note.
    Instances survive pickle and copy without calling the subclass constructor again. Facts never use the
    names `name`, `path`, `errno` or `filename`, which OSError and ImportError own.
    """

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if cls.__module__.startswith(f"{_DOOR}."):  # tracebacks show where users find it
            cls.__module__ = _DOOR

    def __init__(self, sentence: str, /, *, hint: str | None = None, **facts: object) -> None:
        super().__init__(sentence)
        self._sentence = sentence
        self._facts = facts
        for fact, value in facts.items():
            setattr(self, fact, value)
        if hint is not None:
            self.add_note(f"hint: {hint}")

    @property
    def hint(self) -> str | None:
        """What to do next, or None when there is nothing to say."""
        for note in getattr(self, "__notes__", ()):
            if note.startswith("hint: "):
                return str(note.removeprefix("hint: "))
        return None

    def __str__(self) -> str:
        return self._sentence

    def __reduce__(self) -> tuple[Any, ...]:  # Any: the signature of object.__reduce__
        return _rebuild, (type(self), self._sentence, self._facts, list(getattr(self, "__notes__", ())))

    def __copy__(self) -> Self:
        return _rebuild(type(self), self._sentence, self._facts, list(getattr(self, "__notes__", ())))


MainspringError.__module__ = _DOOR

_Error = TypeVar("_Error", bound=MainspringError)


def _rebuild(cls: type[_Error], sentence: str, facts: dict[str, object], notes: list[str]) -> _Error:
    error = cls.__new__(cls, sentence)
    MainspringError.__init__(error, sentence, hint=None, **facts)
    for note in notes:
        error.add_note(note)
    return error
