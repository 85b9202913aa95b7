"""Credentials in a Redis hash (extra `redis`)."""

import ast
import json
from dataclasses import dataclass, field
from typing import Any, Final  # Any: what the hash holds may be anything
from urllib.parse import urlsplit

from mainspring.base import load_extra
from mainspring.errors import CredentialFormatError, CredentialStoreError, InvalidArgumentError
from mainspring.resilience import check_seconds
from mainspring.tools._credential import Credential, make_credential
from mainspring.tools._values import is_table

_HASH: Final = "account"


@dataclass(frozen=True, slots=True)
class RedisCredentials:
    """Credentials in the hash `account`, field `EXCHANGE_ACCOUNT`: JSON with ACCESS_KEY, SECRET_KEY, PASSPHRASE, UID.

    A value that is no JSON may be a Python literal. Each question has a connection of its own.

    Args:
        url: the address, as "redis://localhost:6379/0"; never shown, since it may hold a password.
        timeout: seconds to connect, and for the answer.

    Raises:
        InvalidArgumentError: the address is none; the error shows nothing of it.
    """

    url: str = field(repr=False)
    timeout: float = 10.0

    def __post_init__(self) -> None:
        check_seconds("timeout", self.timeout)
        if not _is_address(self.url):
            raise InvalidArgumentError(
                argument="url", value="...", expected="an address that begins with redis://, rediss:// or unix://"
            )

    def find(self, account: str, exchange: str) -> Credential | None:
        """Return the credential of an account at an exchange, or None when it is not here. Blocks.

        Raises:
            CredentialFormatError: the value cannot be read or lacks a key.
            CredentialStoreError: Redis cannot be asked.
        """
        redis = load_extra("redis", feature="a store of credentials in Redis", extra="redis")
        name = f"{exchange}_{account}"
        where = f"the field {name} of the Redis hash {_HASH}"
        try:
            with redis.Redis.from_url(
                self.url, decode_responses=True, socket_timeout=self.timeout, socket_connect_timeout=self.timeout
            ) as client:
                text: str | None = client.hget(_HASH, name)
        except redis.RedisError as error:
            raise CredentialStoreError(store="Redis", reason=f"{type(error).__name__}: {error}") from error
        except UnicodeDecodeError:
            raise CredentialFormatError(where=where, reason="it is no UTF-8 text") from None  # the first one quotes it
        if text is None:
            return None
        return make_credential(_table(text, where), ("ACCESS_KEY",), ("SECRET_KEY",), where=where)


def _is_address(url: object) -> bool:
    if not isinstance(url, str) or not url.startswith(("redis://", "rediss://", "unix://")):
        return False
    try:
        return urlsplit(url).port != 0
    except ValueError:  # the port is no number, or none that there is
        return False


def _table(text: str, where: str) -> dict[str, Any]:  # Any: as above
    """Return the table in a text: JSON, a Python literal, or JSON with single quotes."""
    for read in (json.loads, ast.literal_eval, _single_quoted):
        try:
            found = read(text)
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            continue
        if is_table(found):
            return dict(found)
    raise CredentialFormatError(where=where, reason="it holds no JSON object")


def _single_quoted(text: str) -> Any:  # Any: as above
    return json.loads(text.replace("'", '"'))
