"""AccountCredentialManager: what is asked, where, in which order; nothing of it is ever shown."""

import json
import math
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from mainspring.errors import (
    CredentialFormatError,
    CredentialNotFoundError,
    CredentialStoreError,
    InvalidArgumentError,
)
from mainspring.testing import ValkeyServer, VirtualClock
from mainspring.tools import AccountCredentialManager, Credential, EnvironmentCredentials, TomlCredentials
from mainspring.tools._credentials import filed_exchange

GOOD = 'api_key = "a"\napi_secret = "s"\n'


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home; returns the folder of its credentials."""
    monkeypatch.setenv("HOME", str(tmp_path))
    folder = tmp_path / ".credential" / "account"
    folder.mkdir(parents=True)
    return folder


@pytest.mark.parametrize(
    ("asked", "filed"),
    [
        (("OKX", "spot", None), "okex"),
        (("okx", "swap", "unified"), "okex"),
        (("Binance", "spot", None), "binance"),
        (("binance", "spot", "UNIFIED"), "binancepm"),
        (("gate", "swap", "unified"), "gatepm"),
        (("gate", "swap", "normal"), "gate"),
        (("kucoin", "Spot", None), "kucoin"),
        (("kucoin", "swap", None), "kucoinswap"),
        (("bybit", "swap", "unified"), "bybit"),
    ],
)
def test_exchanges_are_rewritten(asked: tuple[str, str, str | None], filed: str) -> None:
    assert filed == filed_exchange(*asked)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (GOOD, ("a", "s", "", "0")),
        ('api_key = "a"\nsecret_key = "s"\npassphrase = "p"\nuid = 7\n', ("a", "s", "p", "7")),
    ],
)
def test_toml_files_are_read(home: Path, text: str, expected: tuple[str, ...]) -> None:
    (home / "me.toml").write_text(text)
    found = AccountCredentialManager(stores=[TomlCredentials()]).get_credential("me", "any", "spot")
    assert expected == found
    access_key, secret_key, passphrase, uid = found
    assert expected == (access_key, secret_key, passphrase, uid)


@pytest.mark.parametrize(
    "text",
    [
        'api_key = "hunter2"\n',
        'api_secret = "hunter2"\n',
        'api_key = "hunter2',
        'api_key = ""\napi_secret = "hunter2"',
        'api_key = ["hunter2"]\napi_secret = "b"',
        'api_key = "hunter2"\napi_secret = true',
        'api_key = "hunter2"\napi_secret = "hunter2"\npassphrase = {hunter2 = 1}',
    ],
)
def test_a_file_without_keys_is_an_error_that_shows_none(home: Path, text: str) -> None:
    (home / "me.toml").write_text(text)
    with pytest.raises(CredentialFormatError) as caught:
        TomlCredentials().find("me", "any")
    assert isinstance(caught.value, KeyError)
    assert "me.toml" in str(caught.value)
    assert "hunter2" not in f"{caught.value}{caught.value.__cause__}"


def test_no_home_is_no_file(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_home() -> Path:
        raise RuntimeError

    monkeypatch.setattr(Path, "home", no_home)
    assert TomlCredentials().find("me", "any") is None


def test_variables_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"ACCESS_KEY": "a", "SECRET_KEY": "0123", "UID": "7"}.items():
        monkeypatch.setenv(f"CREDENTIAL__BINANCEPM__MY_ACC_1__{name}", value)
    manager = AccountCredentialManager(stores=[EnvironmentCredentials()])
    assert Credential("a", "0123", "", "7") == manager.get_credential("my-acc.1", "binance", "spot", "unified")
    monkeypatch.delenv("CREDENTIAL__BINANCEPM__MY_ACC_1__SECRET_KEY")
    with pytest.raises(CredentialFormatError, match="SECRET_KEY is missing"):
        manager.get_credential("my-acc.1", "binance", "spot", "unified")


def test_an_account_whose_name_begins_another_is_not_taken_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ACCESS_KEY", "SECRET_KEY"):
        monkeypatch.setenv(f"CREDENTIAL__BINANCE__MY__DESK__{name}", name)
    store = EnvironmentCredentials()
    assert store.find("my", "binance") is None
    found = store.find("my--desk", "binance")
    assert found is not None
    assert "ACCESS_KEY" == found.access_key


def test_stores_are_asked_in_their_order(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / "me.toml").write_text(GOOD)
    manager = AccountCredentialManager(stores=[EnvironmentCredentials("K"), TomlCredentials(home)])
    assert "a" == manager.get_credential("me", "x", "spot").access_key
    monkeypatch.setenv("K__X__ME__ACCESS_KEY", "first")
    monkeypatch.setenv("K__X__ME__SECRET_KEY", "s")
    assert "first" == manager.get_credential("me", "x", "spot").access_key


def test_what_nobody_knows_is_not_found(home: Path) -> None:
    manager = AccountCredentialManager(stores=[TomlCredentials(home), EnvironmentCredentials()])
    with pytest.raises(CredentialNotFoundError, match="no credential of me at okex was found") as caught:
        manager.get_credential("me", "OKX", "spot")
    assert isinstance(caught.value, ValueError)


@pytest.mark.parametrize("account", ["", ".", "..", "../me", "a/b", "a\\b", "a\0b", "/etc/passwd"])
def test_an_account_is_no_path(home: Path, account: str) -> None:
    with pytest.raises(InvalidArgumentError, match="account="):
        AccountCredentialManager(stores=[TomlCredentials(home)]).get_credential(account, "x", "spot")


@pytest.mark.parametrize("asked", [(5, "x", "y"), ("a", None, "y"), ("a", "x", None), ("a", "x", "y", 5)])
def test_names_are_texts(home: Path, asked: Any) -> None:
    with pytest.raises(InvalidArgumentError):
        AccountCredentialManager(stores=[TomlCredentials(home)]).get_credential(*asked)


@pytest.mark.parametrize("url", ["hunter2", "http://hunter2", "redis://u:hunter2@h:99999/0", "redis://h:hunter2/0", 5])
def test_an_address_that_is_none_is_refused_at_once_and_not_shown(url: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="url=") as caught:
        AccountCredentialManager(url)
    assert "hunter2" not in f"{caught.value}{caught.value.__cause__}"


def test_what_finds_nothing_is_no_store() -> None:
    with pytest.raises(InvalidArgumentError, match="stores="):
        AccountCredentialManager(stores=[5])  # type: ignore[list-item]  # that is the point


def test_an_address_or_stores_must_be_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("REDIS_ACC_URL", raising=False)
    with pytest.raises(ValueError, match="REDIS_ACC_URL"):
        AccountCredentialManager()
    for ttl in (-1, math.inf):  # keys that are kept for ever are not found again when they were changed
        with pytest.raises(InvalidArgumentError, match=r"ttl=.*finite seconds >= 0"):
            AccountCredentialManager("redis://x", ttl=ttl)
    monkeypatch.setenv("REDIS_ACC_URL", "redis://:hunter2@localhost:1/0")
    manager = AccountCredentialManager()
    assert "<AccountCredentialManager RedisCredentials, TomlCredentials>" == repr(manager)


def test_nothing_is_shown() -> None:
    credential = Credential("hunter2", "hunter3", "hunter4", "7")
    assert "hunter" not in f"{credential!r} {credential} {[credential]}"
    assert "uid='7'" in repr(credential)


async def test_answers_are_kept_for_their_time(home: Path, virtual_clock: VirtualClock) -> None:
    (home / "me.toml").write_text(GOOD)
    manager = AccountCredentialManager(stores=[TomlCredentials(home)], ttl=60.0)
    first = await manager.get_credential_async("me", "x", "spot")
    (home / "me.toml").unlink()
    await virtual_clock.advance(59)
    assert first == await manager.get_credential_async("me", "x", "spot")
    await virtual_clock.advance(1)
    with pytest.raises(CredentialNotFoundError):
        await manager.get_credential_async("me", "x", "spot")


def test_the_memory_is_bounded(home: Path) -> None:
    class Everything:
        asked = 0

        def find(self, account: str, exchange: str) -> Credential:
            self.asked += 1
            return Credential(account, "s")

    store = Everything()
    manager = AccountCredentialManager(stores=[store], ttl=1e9)
    for number in [*range(1500), 1499, 0]:
        manager.get_credential(str(number), "x", "spot")
    assert 1501 == store.asked


@pytest.mark.extras
class TestRedis:
    @pytest.fixture
    def client(self, valkey_server: ValkeyServer) -> Any:
        redis: Any = import_module("redis")
        with redis.Redis.from_url(valkey_server.url) as client:
            client.delete("account")
            yield client

    @pytest.mark.parametrize(
        "value",
        [
            json.dumps({"ACCESS_KEY": "a", "SECRET_KEY": 'it\'s "s"', "PASSPHRASE": "p", "UID": 7}),
            str({"ACCESS_KEY": "a", "SECRET_KEY": 'it\'s "s"', "PASSPHRASE": "p", "UID": 7}),
        ],
    )
    async def test_the_hash_is_read(self, client: Any, valkey_server: ValkeyServer, value: str) -> None:
        client.hset("account", "binancepm_me", value)
        manager = AccountCredentialManager(redis_acc_url=valkey_server.url)
        expected = ("a", 'it\'s "s"', "p", "7")
        assert expected == manager.get_credential("me", "BINANCE", "spot", "unified")
        assert expected == await manager.get_credential_async("me", "binance", "swap", "unified")

    def test_defaults_and_mixed_quotes(self, client: Any, valkey_server: ValkeyServer) -> None:
        client.hset("account", "okex_me", "{'ACCESS_KEY': 'a', 'SECRET_KEY': 's', 'PASSPHRASE': null, 'UID': null}")
        found = AccountCredentialManager(valkey_server.url).get_credential("me", "okx", "spot")
        assert ("a", "s", "", "0") == found

    def test_files_are_asked_when_redis_does_not_know(
        self, client: Any, valkey_server: ValkeyServer, home: Path
    ) -> None:
        (home / "me.toml").write_text(GOOD)
        assert "a" == AccountCredentialManager(valkey_server.url).get_credential("me", "okx", "spot").access_key
        with pytest.raises(CredentialNotFoundError):
            AccountCredentialManager(valkey_server.url).get_credential("you", "okx", "spot")

    @pytest.mark.parametrize(
        "value", ["", "hunter2", b"\xffhunter2", "[1]", '{"ACCESS_KEY": "hunter2"}', "{'SECRET_KEY': 'hunter2'}"]
    )
    def test_what_cannot_be_read_is_not_shown(self, client: Any, valkey_server: ValkeyServer, value: Any) -> None:
        client.hset("account", "okex_me", value)
        with pytest.raises(CredentialFormatError, match="the field okex_me") as caught:
            AccountCredentialManager(valkey_server.url).get_credential("me", "okx", "spot")
        assert "hunter2" not in str(caught.value)

    def test_a_redis_that_does_not_answer_is_an_error(self, home: Path, unused_port: int) -> None:
        (home / "me.toml").write_text(GOOD)
        manager = AccountCredentialManager(f"redis://:hunter2@127.0.0.1:{unused_port}/0")
        with pytest.raises(CredentialStoreError) as caught:
            manager.get_credential("me", "okx", "spot")
        assert isinstance(caught.value, ConnectionError)
        assert "hunter2" not in f"{caught.value}{caught.value.__cause__}"
