"""What must not be shown: which names hold secrets, and how a text or table looks without them."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final

from mainspring.tools._values import is_list, is_table

MASK: Final = "***"
_SHORTEST: Final = 6  # characters of a secret that is looked for; shorter ones would hide innocent words
_REMEMBERED: Final = 1_000
_remembered: dict[str, None] = {}  # oldest first

_SECRET_NAME: Final = re.compile(
    r"password|passwd|passphrase|secret|token|credential|webhook|bot_?url|private_?key|api_?key|access_?key"
    r"|(?:^|_)(?:pass|pwd|auth)(?:_|$)"
)
_WORD_START: Final = re.compile(r"(?<=[a-z])(?=[A-Z])")
_NOT_WORD: Final = re.compile(r"[\W_]+")
_PASSWORD_IN_URL: Final = re.compile(r"(?<=://)([^/\s:@]*):[^/\s@]*@")


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

    Args:
        hides: tells for a dotted key whether all beneath it is secret.
    """
    return {text for text in _texts(values, hides, "", hidden=False) if len(text) >= _SHORTEST}


def _texts(value: object, hides: Callable[[str], bool], key: str, *, hidden: bool) -> Iterator[str]:
    if is_table(value):
        for name, inner in value.items():
            path = f"{key}.{name}" if key else str(name)
            yield from _texts(inner, hides, path, hidden=hidden or hides(path))
    elif is_list(value):
        for inner in value:
            yield from _texts(inner, hides, key, hidden=hidden)
    elif hidden and value is not None and not isinstance(value, bool):
        yield str(value)


def remember_secrets(*texts: str) -> None:
    """Have `without_secrets` hide these texts from now on; of very many the newest."""
    for text in texts:
        if len(text) >= _SHORTEST:
            _remembered.pop(text, None)
            _remembered[text] = None
    while len(_remembered) > _REMEMBERED:
        _remembered.pop(next(iter(_remembered)), None)


def without_secrets(text: str, secrets: Iterable[str] = ()) -> str:
    """Return a text with stars in place of these secrets, those of credentials, and passwords in addresses."""
    for secret in sorted({*secrets, *_remembered}, key=len, reverse=True):  # one may be a part of another
        text = text.replace(secret, MASK)
    return _PASSWORD_IN_URL.sub(rf"\1:{MASK}@", text) if "://" in text else text
