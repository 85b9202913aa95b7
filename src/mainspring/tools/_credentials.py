"""`AccountCredentialManager`: the keys of accounts at exchanges, from Redis, TOML files or the environment."""

import asyncio
import os
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from mainspring.base import current_clock
from mainspring.errors import CredentialFormatError, CredentialNotFoundError, InvalidArgumentError
from mainspring.resilience import check_seconds
from mainspring.tools._credential import Credential, make_credential
from mainspring.tools._values import check_text
from mainspring.tools.redis_credentials import RedisCredentials

_MOST_KEPT: Final = 1000
"""How many credentials a manager with a cache keeps."""
_VARIABLES: Final = ("ACCESS_KEY", "SECRET_KEY", "PASSPHRASE", "UID")
_NO_PATH: Final = frozenset("/\\\0")


class CredentialStore(Protocol):
    """Where credentials are kept."""

    def find(self, account: str, exchange: str) -> Credential | None:
        """Return the credential of an account at an exchange, or None when it is not here. May block."""
        ...


@dataclass(frozen=True, slots=True)
class TomlCredentials:
    """Credentials in files `ACCOUNT.toml`: `api_key`, `api_secret` or `secret_key`, `passphrase`, `uid`.

    One file serves every exchange.

    Args:
        directory: where they lie; `~/.credential/account` when left out.
    """

    directory: Path | None = None

    def find(self, account: str, exchange: str) -> Credential | None:
        """Return the credential of an account.

        Raises:
            CredentialFormatError: the file cannot be read, or has no keys.
        """
        folder = self.directory or _home_directory()
        if folder is None:
            return None
        path = folder / f"{account}.toml"
        try:
            table = tomllib.loads(path.read_text(encoding="utf-8"))
        except (FileNotFoundError, NotADirectoryError):
            return None
        except (OSError, ValueError) as error:
            raise CredentialFormatError(
                where=str(path), reason=f"it is no readable TOML ({type(error).__name__})"
            ) from None
        return make_credential(table, ("api_key",), ("api_secret", "secret_key"), where=str(path))


@dataclass(frozen=True, slots=True)
class EnvironmentCredentials:
    """Credentials in variables `PREFIX__EXCHANGE__ACCOUNT__ACCESS_KEY`, `..._SECRET_KEY`, `..._PASSPHRASE`, `..._UID`.

    Names are in upper case, with an underscore for whatever is neither letter nor digit.

    Args:
        prefix: what the names begin with.
    """

    prefix: str = "CREDENTIAL"

    def find(self, account: str, exchange: str) -> Credential | None:
        """Return the credential of an account.

        Raises:
            CredentialFormatError: one of the two keys is missing.
        """
        begin = f"{self.prefix}__{_variable(exchange)}__{_variable(account)}__"
        # only these: the rest of a longer name is that of another account
        table = {name: os.environ[begin + name] for name in _VARIABLES if begin + name in os.environ}
        if not table:
            return None
        return make_credential(table, ("ACCESS_KEY",), ("SECRET_KEY",), where=f"the variables {begin}*")


class AccountCredentialManager:
    """Finds the keys of accounts: first in Redis, then in TOML files; or in the stores that it is given.

    Names of exchanges, markets and account types may be written in any case. Some are rewritten as the keys are
    filed: `okx` is `okex`, a unified account at `binance` or `gate` is `binancepm` or `gatepm`, `kucoin` but for
    its spot market is `kucoinswap`. No connection is made before the first question, and none is kept.

    Args:
        redis_acc_url: the address of Redis; the variable REDIS_ACC_URL when left out.
        stores: where to look instead, in this order.
        ttl: finite seconds for which an answer is kept in memory, 0 keeps none: keys are changed one day, and a program
            that kept them for ever would not find the new ones.

    Raises:
        InvalidArgumentError: (a ValueError) neither an address nor stores are given, or one is none; `ttl` is
            negative or not finite.

    Example:
        >>> manager = AccountCredentialManager(stores=[TomlCredentials(Path("keys"))])
        >>> manager.get_credential("nobody", "binance", "spot")
        Traceback (most recent call last):
            ...
        mainspring.errors.CredentialNotFoundError: no credential of nobody at binance was found
    """

    def __init__(
        self,
        redis_acc_url: str | None = None,
        *,
        stores: Sequence[CredentialStore] | None = None,
        ttl: float = 0.0,
    ) -> None:
        if stores is None:
            url = redis_acc_url or os.environ.get("REDIS_ACC_URL", "")
            if not url:
                raise InvalidArgumentError(
                    argument="redis_acc_url",
                    value=redis_acc_url,
                    expected="an address, here or in REDIS_ACC_URL",
                    hint="without Redis: stores=[EnvironmentCredentials(), TomlCredentials()]",
                )
            stores = (RedisCredentials(url), TomlCredentials())
        for store in stores:
            if not callable(getattr(store, "find", None)):
                raise InvalidArgumentError(argument="stores", value=store, expected="stores, which have `find`")
        self._stores = tuple(stores)
        self._ttl = check_seconds("ttl", ttl, zero=True)
        self._kept: dict[tuple[str, str], tuple[float, Credential]] = {}

    def get_credential(
        self, account: str, exchange: str, market_type: str, account_type: str | None = None
    ) -> Credential:
        """Return the keys of an account: a tuple of access key, secret key, passphrase and uid. Blocks.

        Args:
            account: its name, as it is filed.
            exchange: the exchange, as "binance".
            market_type: "spot" or another.
            account_type: "unified" for a unified account.

        Raises:
            CredentialFormatError: (a KeyError and ValueError) what is filed cannot be read or lacks a key.
            CredentialNotFoundError: (a ValueError) no store knows it.
            CredentialStoreError: (a ConnectionError) a store cannot be asked.
            InvalidArgumentError: the account is no plain name, or another argument no text.
        """
        _check_account(account)
        for argument, value in (("exchange", exchange), ("market_type", market_type), ("account_type", account_type)):
            if argument != "account_type" or value is not None:
                check_text(argument, value, empty=True)
        filed = filed_exchange(exchange, market_type, account_type)
        now = current_clock().monotonic()
        kept = self._kept.get((account, filed))
        if kept is not None and now - kept[0] < self._ttl:
            return kept[1]
        for store in self._stores:
            found = store.find(account, filed)
            if found is not None:
                self._keep((account, filed), now, found)
                return found
        raise CredentialNotFoundError(account=account, exchange=filed)

    async def get_credential_async(
        self, account: str, exchange: str, market_type: str, account_type: str | None = None
    ) -> Credential:
        """Return the keys of an account, without blocking the loop; see `get_credential`."""
        return await asyncio.to_thread(self.get_credential, account, exchange, market_type, account_type)

    def __repr__(self) -> str:
        return f"<AccountCredentialManager {', '.join(type(store).__name__ for store in self._stores)}>"

    def _keep(self, key: tuple[str, str], now: float, credential: Credential) -> None:
        if self._ttl > 0:
            self._kept.pop(key, None)
            self._kept[key] = (now, credential)
            if len(self._kept) > _MOST_KEPT:
                del self._kept[next(iter(self._kept))]


def filed_exchange(exchange: str, market_type: str, account_type: str | None) -> str:
    """Return the name under which the keys for a market are filed."""
    exchange, market, kind = exchange.lower(), market_type.lower(), (account_type or "").lower()
    if exchange == "okx":
        return "okex"
    if exchange in {"binance", "gate"} and kind == "unified":
        return f"{exchange}pm"
    if exchange == "kucoin" and market != "spot":
        return "kucoinswap"
    return exchange


def _check_account(account: object) -> None:
    if not isinstance(account, str) or account in {"", ".", ".."} or not _NO_PATH.isdisjoint(account):
        raise InvalidArgumentError(argument="account", value=account, expected="a plain name, without slashes")


def _home_directory() -> Path | None:
    try:
        return Path.home() / ".credential" / "account"
    except RuntimeError:  # there is no home
        return None


def _variable(name: str) -> str:
    return "".join(character if character.isalnum() else "_" for character in name).upper()
