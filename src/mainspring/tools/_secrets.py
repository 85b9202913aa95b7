"""What must not be shown: which names hold secrets, and how a text or table looks without them."""

import re
import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Final, TypeAlias

from mainspring.tools._values import is_list, is_table

MASK: Final = "***"
_SHORTEST: Final = 6  # characters of a secret that is looked for; shorter ones would hide innocent words
_REMEMBERED: Final = 1_000
_DEEPEST: Final = 500  # tables inside of each other that are searched
_MOST_VISITS: Final = 16  # to one table or list, which may be in several places, and within itself
_MOST_TRIES: Final = 10  # to read a table that threads change
_Found: TypeAlias = tuple[object, str, bool, int]  # a value, its dotted key, whether that is secret, and how deep it is
_remembered: dict[str, None] = {}  # oldest first
_longest_first: tuple[str, ...] = ()  # the same, as they are looked for: one may be a part of another
_remembering: Final = threading.Lock()
_finders: Final[list[Callable[[], Collection[str]]]] = []

_SECRET_NAME: Final = re.compile(
    r"password|passwd|passphrase|secret|token|credential|webhook|bot_?url|private_?key|api_?key|access_?key"
    r"|(?:^|_)(?:pass|pwd|auth)(?:_|$)"
)
_WORD_START: Final = re.compile(r"(?<=[a-z])(?=[A-Z])")
_NOT_WORD: Final = re.compile(r"[\W_]+")
_PASSWORD_IN_URL: Final = re.compile(r"(?<=://)([^/\s:@]*):([^/\s@]*)@")
_SAME_EVERYWHERE: Final = re.compile(r"[A-Za-z0-9_.~-]*")  # no form of writing changes these


def snake_case(name: str) -> str:
    """Return a name in lower case, its words joined by underscores: `FooBar` and `foo-bar` give `foo_bar`."""
    return _NOT_WORD.sub("_", _WORD_START.sub("_", name)).lower()


def is_secret(name: str) -> bool:
    """Tell whether a key of this name holds a secret, going by its words."""
    return _SECRET_NAME.search(snake_case(name)) is not None


def masked(name: str, value: object) -> object:
    """Return what may be shown of the value of the key `name`: tables within, secrets as stars."""
    if is_secret(name):
        return MASK
    if isinstance(value, str):
        return _PASSWORD_IN_URL.sub(rf"\1:{MASK}@", value)
    if is_table(value):
        return {key: masked(str(key), inner) for key, inner in value.items()}
    if is_list(value):
        return [masked("", inner) for inner in value]
    return value


def secret_texts(values: Mapping[str, object], hides: Callable[[str], bool] = is_secret) -> set[str]:
    """Return the texts of secrets in a table of settings, to be looked for in other texts.

    Those are the values of secret keys and the passwords in addresses, each in all the forms in which texts have it.
    The table may change meanwhile, and be anything: what in it cannot be read, or lies deeper than 500 tables, is
    passed over. Raises nothing.

    Args:
        hides: tells for a dotted key whether all beneath it is secret.
    """
    texts: set[str] = set()
    waiting: list[_Found] = [(values, "", False, 0)]  # what was looked at stays here: its id remains its own
    visits: dict[tuple[int, bool], int] = {}
    for value, key, hidden, depth in waiting:
        try:
            if is_table(value) or is_list(value):
                place = id(value), hidden
                visits[place] = visits.get(place, 0) + 1
                if visits[place] <= _MOST_VISITS and depth < _DEEPEST:
                    waiting.extend(_inside(value, key, hides, hidden=hidden, depth=depth))
            elif hidden and value is not None and not isinstance(value, bool):
                text = str(value)
                if len(text) >= _SHORTEST:
                    texts |= _as_written((text,))
            elif isinstance(value, str) and "://" in value:
                texts |= _as_written(_passwords(value))
        except Exception:  # noqa: BLE001  # supervisor: who logs, or ends a run, must not meet what its config raises
            continue
    return texts


def _passwords(address: str) -> Iterator[str]:
    """Return the passwords in addresses; a short one with what stands around it, lest it hide innocent words."""
    from urllib.parse import unquote  # few settings are addresses

    for found in _PASSWORD_IN_URL.finditer(address):
        password = found[2]
        if len(password) >= _SHORTEST:
            yield from (password, unquote(password))
        elif password:
            yield f":{password}@"


def _inside(value: object, key: str, hides: Callable[[str], bool], *, hidden: bool, depth: int) -> Iterator[_Found]:
    if is_table(value):
        for name, inner in _entries(value):
            path = f"{key}.{name}" if key else str(name)
            yield inner, path, hidden or hides(path), depth + 1
    elif is_list(value):
        for inner in list(value):
            yield inner, key, hidden, depth


def _entries(table: Mapping[str, object]) -> list[tuple[str, object]]:
    """Return what is in a table at one moment; nothing of one that never stops changing."""
    for _ in range(_MOST_TRIES):
        try:
            return list(table.items())
        except RuntimeError:  # a thread has changed it: its size is another
            continue
    return []


def remember_secrets(*texts: str) -> None:
    """Have these texts hidden from now on, of very many the newest: by `without_secrets`, and in logs."""
    global _longest_first
    with _remembering:
        wanted = [text for text in texts if len(text) >= _SHORTEST]
        is_known = all(text in _remembered for text in wanted)
        for text in wanted:
            _remembered.pop(text, None)
            _remembered[text] = None
        if is_known:
            return
        while len(_remembered) > _REMEMBERED:
            _remembered.pop(next(iter(_remembered)), None)
        _longest_first = tuple(sorted(_as_written(_remembered), key=len, reverse=True))


def _as_written(secrets: Iterable[str]) -> set[str]:
    """Return texts with the forms that they have in other texts: a key of several lines is one line in a `repr`."""
    return {form for text in secrets for form in _forms(text)}


def _forms(text: str) -> Iterable[str]:
    """Return a text as it is, in a `repr` (with either quotes), in JSON (with any letters, or ASCII) and an address."""
    if _SAME_EVERYWHERE.fullmatch(text):
        return (text,)
    import json  # few secrets need either
    from urllib.parse import quote, quote_plus

    in_json = (json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1])
    in_address = (quote(text, "", errors="replace"), quote(text, errors="replace"), quote_plus(text, errors="replace"))
    return (text, repr(text)[1:-1], repr(f"{text}\"'")[1:-4], *in_json, *in_address)


def find_secrets(finder: Callable[[], Collection[str]]) -> None:
    """Have what `finder` returns hidden in logs, where it is asked: in the context of each record, in any thread.

    For ever: a record may be written when whoever has made it is gone.
    """
    if finder not in _finders:
        _finders.append(finder)


def secrets_here() -> Collection[str]:
    """Return the secrets that the running context knows of; next to nothing to ask where there are none."""
    if not _finders:
        return ()
    return {secret for finder in _finders for secret in finder()}


def looks_for_secrets() -> bool:
    """Tell whether there may be any, in whatever context."""
    return bool(_longest_first or _finders)


def known_secrets() -> Sequence[str]:
    """Return what must not be shown here, as `with_stars` wants it: what is remembered, and of the running context."""
    here = secrets_here()
    return sorted({*_longest_first, *here}, key=len, reverse=True) if here else _longest_first


def with_stars(text: str, secrets: Iterable[str]) -> str:
    """Return a text with stars in place of these secrets, the longest first."""
    for secret in secrets:
        text = text.replace(secret, MASK)
    return text


def without_secrets(text: str, secrets: Collection[str] = ()) -> str:
    """Return a text with stars in place of these secrets, those of credentials, and passwords in addresses."""
    hidden = sorted({*secrets, *_longest_first}, key=len, reverse=True) if secrets else _longest_first
    text = with_stars(text, hidden)
    return _PASSWORD_IN_URL.sub(rf"\1:{MASK}@", text) if "://" in text else text
