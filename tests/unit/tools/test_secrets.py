"""Which names hold secrets, and what is shown of a value."""

import pytest

from mainspring.tools._secrets import is_secret, masked, snake_case


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("FooBar", "foo_bar"),
        ("ABC", "abc"),
        ("foo-bar", "foo_bar"),
        ("S3BUCKET", "s3bucket"),
        ("pool_size", "pool_size"),
    ],
)
def test_words_are_joined_by_underscores(name: str, expected: str) -> None:
    assert expected == snake_case(name)


@pytest.mark.parametrize(
    "name",
    ["password", "DB_PASSWORD", "dbPasswd", "api_key", "apiKey", "secret-key", "accessToken", "pass", "bot_url", "PWD"],
)
def test_names_of_secrets_are_known(name: str) -> None:
    assert is_secret(name)


@pytest.mark.parametrize("name", ["host", "port", "user", "passenger", "compass", "key", "author", "keyboard"])
def test_other_names_are_shown(name: str) -> None:
    assert not is_secret(name)


def test_secrets_are_masked_at_any_depth() -> None:
    value = {"db": {"password": "a", "port": 1, "url": "redis://me:b@host/0"}, "list": [{"token": "c"}, 2]}
    expected = {"db": {"password": "***", "port": 1, "url": "redis://me:***@host/0"}, "list": [{"token": "***"}, 2]}
    assert expected == masked("", value)
