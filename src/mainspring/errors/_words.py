"""Words that many errors use: values as people read them, and the name that was probably meant."""

from collections.abc import Iterable
from typing import Any  # Any: values of every type are shown

_LONGEST = 300


def shown(value: Any) -> str:
    """Return a value as a sentence quotes it: functions by name, dates in ISO form, long ones without their middle."""
    if isinstance(value, type) or hasattr(value, "__code__"):
        return str(value.__qualname__)
    if callable(iso := getattr(value, "isoformat", None)):
        return str(iso())
    text = repr(value)
    half = _LONGEST // 2
    return text if len(text) <= _LONGEST else f"{text[:half]} ... {text[-half:]}"


def did_you_mean(word: object, known: Iterable[str]) -> str | None:
    """Return a hint with the known name that is most like `word`, None when none is."""
    candidates = list(known)
    if not candidates or not isinstance(word, str):
        return None
    from difflib import get_close_matches

    near = get_close_matches(word, candidates, n=1)
    return f"did you mean {near[0]!r}?" if near else None
