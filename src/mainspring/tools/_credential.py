"""One credential, and how the tables that stores keep are read."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple  # Any: what stores keep may be anything

from mainspring.errors import CredentialFormatError
from mainspring.tools._secrets import MASK, remember_secrets


class Credential(NamedTuple):
    """The keys of one account; `repr` shows none of them."""

    access_key: str
    secret_key: str
    passphrase: str = ""
    uid: str = "0"

    def __repr__(self) -> str:
        return f"Credential(access_key='{MASK}', secret_key='{MASK}', passphrase='{MASK}', uid={self.uid!r})"


def make_credential(
    table: Mapping[str, Any], access: Sequence[str], secret: Sequence[str], *, where: str
) -> Credential:
    """Return the credential in a table, its values as text; the first of several names that is there counts.

    Raises:
        CredentialFormatError: a key is missing; the error shows no value.
    """
    folded = {name.lower(): value for name, value in table.items()}

    def first(names: Sequence[str]) -> str:
        for name in names:
            if text := _text(folded, name, where):
                return text
        raise CredentialFormatError(where=where, reason=f"{names[0]} is missing")

    passphrase, uid = (_text(folded, name, where) for name in ("passphrase", "uid"))
    made = Credential(first(access), first(secret), passphrase, uid or "0")
    remember_secrets(made.access_key, made.secret_key, made.passphrase)
    return made


def _text(folded: Mapping[str, Any], name: str, where: str) -> str:  # Any: what stores keep may be anything
    """Return a value as text; nothing for null, as for one that is not there."""
    value = folded.get(name.lower())
    if value is None:
        return ""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise CredentialFormatError(where=where, reason=f"{name} is a {type(value).__name__}, and no text")
    return str(value)
