"""What must not be shown: which names hold secrets, and how a text or table looks without them."""

import re
from typing import Final

from mainspring.tools._values import is_list, is_table

MASK: Final = "***"

_SECRET_NAME: Final = re.compile(
    r"password|passwd|passphrase|secret|token|credential|webhook|bot_?url|private_?key|api_?key|access_?key"
    r"|(?:^|_)(?:pass|pwd|auth)(?:_|$)"
)
_WORD_START: Final = re.compile(r"(?<=[a-z])(?=[A-Z])")
_NOT_WORD: Final = re.compile(r"[^0-9a-zA-Z]+")
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
