"""The chapters ConfigLoader, Notifier and AccountCredentialManager of the pyutils seed."""

import json
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from mainspring.testing import NotifyGateway, ValkeyServer

pytestmark = pytest.mark.extras


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """The two files of the seed, in a home and a working directory of their own."""
    home, cwd = tmp_path / "home" / ".myproject", tmp_path / "cwd" / ".myproject"
    home.mkdir(parents=True)
    cwd.mkdir(parents=True)
    (home / "config.toml").write_text('[clickhouse]\nuser = "demo_user"\npassword = "123456789"\n')
    (cwd / "config.toml").write_text('[clickhouse]\npassword = "abcdefg"\nhost = "xxx.xxx.xxx.xxx"\n')
    monkeypatch.setenv("HOME", str(home.parent))
    monkeypatch.chdir(cwd.parent)
    return home, cwd


def test_config_loader(places: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MYPROJECT__CLICKHOUSE_DATABASE", "market_data")
    from mainspring.compat.pyutils import ConfigLoader

    cl = ConfigLoader(
        config_dir=".myproject",
        config_name="config.toml",
        env_prefix="MYPROJECT",
    )

    config = cl.load_config()
    expected = {"user": "demo_user", "password": "abcdefg", "host": "xxx.xxx.xxx.xxx", "database": "market_data"}
    assert {"clickhouse": expected} == config

    extra_config = {"clickhouse": {"port": 8443}}
    config = cl.load_config(extra_config)
    assert {"clickhouse": {**expected, "port": 8443}} == config


def test_the_variables_of_the_last_chapter(places: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MYPROJECT__DATABASE_HOST", "localhost")
    monkeypatch.setenv("NOTIFIER_URL", "https://your-notify-service.com")
    monkeypatch.setenv("NOTIFIER_USER_ID", "your_user_id")
    monkeypatch.setenv("REDIS_ACC_URL", "redis://localhost:6379/0")
    from mainspring.compat.pyutils import AccountCredentialManager, ConfigLoader, Notifier

    assert "localhost" == ConfigLoader(".myproject", "config.toml", "MYPROJECT").load_config()["database"]["host"]
    assert "your_user_id" == Notifier.from_env().user_id
    assert "RedisCredentials" in repr(AccountCredentialManager())


async def test_notifier(places: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    from mainspring.compat.pyutils import Notifier

    async with NotifyGateway() as gateway:
        monkeypatch.setenv("NOTIFIER_URL", gateway.url)
        monkeypatch.setenv("NOTIFIER_USER_ID", "your_user_id")
        settings = f'\n[notifier]\nurl = "{gateway.url}"\nuser_id = "your_user_id"\n'
        (places[1] / "config.toml").write_text(settings)

        notifier = Notifier(url=gateway.url, user_id="your_user_id")
        assert gateway.url == notifier.url
        notifier = Notifier.from_env()
        assert gateway.url == notifier.url
        notifier = Notifier.from_config(config_dir=".myproject", config_name="config.toml")

        await notifier.add_channel(
            channel="alerts",
            bot_type="lark",
            bot_url="https://open.larksuite.com/open-apis/bot/v2/hook/xxx",
            bot_note="project alerts",
        )

        channel_info = await notifier.get_channel("alerts")
        assert "lark" == channel_info[0]["bot_type"]

        await notifier.notify(channel="alerts", msg="all is well", at=["user1", "user2"], timeout=5)

        lark_msg = {
            "msg_type": "interactive",
            "card": {"elements": [{"tag": "div", "text": {"content": "**an alert**", "tag": "lark_md"}}]},
        }

        await notifier.notify(channel="alerts", msg=lark_msg)

        await notifier.del_channel("alerts")
        assert ["all is well", lark_msg] == [one.data for one in gateway.sent]
        assert [] == await notifier.get_channel("alerts")


def test_account_credential_manager(
    places: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, valkey_server: ValkeyServer
) -> None:
    redis: Any = import_module("redis")
    with redis.Redis.from_url(valkey_server.url) as client:
        client.hset("account", "binance_my_account", json.dumps({"ACCESS_KEY": "a", "SECRET_KEY": "s"}))
    monkeypatch.setenv("REDIS_ACC_URL", valkey_server.url)
    from mainspring.compat.pyutils import AccountCredentialManager

    acm = AccountCredentialManager(redis_acc_url=valkey_server.url)
    assert "a" == acm.get_credential("my_account", "binance", "spot").access_key

    acm = AccountCredentialManager()

    access_key, secret_key, passphrase, uid = acm.get_credential(
        account="my_account",
        exchange="binance",
        market_type="spot",
        account_type=None,
    )
    assert ("a", "s", "", "0") == (access_key, secret_key, passphrase, uid)
