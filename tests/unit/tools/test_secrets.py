"""Which names hold secrets, and what is shown of a value."""

import json
from collections.abc import Collection, Iterator, Mapping
from contextvars import ContextVar
from urllib.parse import quote, urlencode

import pytest

from mainspring.base import encode_json
from mainspring.tools import _secrets
from mainspring.tools._secrets import (
    find_secrets,
    is_secret,
    known_secrets,
    looks_for_secrets,
    masked,
    remember_secrets,
    secret_texts,
    secrets_here,
    snake_case,
    with_stars,
    without_secrets,
)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("FooBar", "foo_bar"),
        ("ABC", "abc"),
        ("foo-bar", "foo_bar"),
        ("S3BUCKET", "s3bucket"),
        ("pool_size", "pool_size"),
        ("Größe", "größe"),
        ("СЕРВЕР-имя", "сервер_имя"),
        ("\udcff", "_"),
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


def test_the_texts_of_secrets_are_found_in_tables() -> None:
    values = {
        "host": "db.example",
        "password": "open sesame",
        "numbers": [1, 2],
        "nested": {"api_key": "abcdefgh", "name": "innocent"},
        "tokens": ["token-one", {"value": "token-two"}, 12345678, None, True, "short"],
    }
    forms = {"open sesame", "open%20sesame", "open+sesame"}
    assert {*forms, "abcdefgh", "token-one", "token-two", "12345678"} == secret_texts(values)
    assert {"db.example"} == secret_texts(values, lambda key: key == "host")
    assert {"innocent"} == secret_texts(values, lambda key: key == "nested.name")


def test_secrets_are_replaced_the_longest_first() -> None:
    secrets = {"sesame", "open sesame"}
    assert "say *** or ***, not open" == without_secrets("say open sesame or sesame, not open", secrets)
    assert "postgres://me:***@db/x" == without_secrets("postgres://me:hidden@db/x")
    assert "nothing" == without_secrets("nothing")


def test_of_very_many_secrets_the_newest_are_remembered() -> None:
    remember_secrets("first-secret", "short")
    assert "*** short" == without_secrets("first-secret short")
    remember_secrets(*(f"another-secret-{number}" for number in range(1_000)))
    assert "first-secret ***" == without_secrets("first-secret another-secret-999")


def test_a_secret_of_several_lines_is_found_inside_of_a_repr() -> None:
    key = "-----KEY-----\n'\\0a1b2c"
    shown = f"{ {'key': key} } and {key}"
    assert "{'key': \"***\"} and ***" == without_secrets(shown, secret_texts({"key": key}, lambda _: True))


@pytest.mark.parametrize(
    "secret",
    ['qu"ote\nof two lines', "p\xe4ssw\xf6rd", "back\\slash", 'it\'s "both"', "a+b/c d=="],
    ids=["quote", "umlauts", "backslash", "both_quotes", "base64"],
)
def test_a_secret_is_found_in_each_form_in_which_texts_have_it(secret: str) -> None:
    written = {
        json.dumps({"a": secret}): '{"a": "***"}',
        json.dumps([secret], ensure_ascii=False): '["***"]',
        encode_json(secret).decode(): '"***"',
        repr([secret]): "['***']",
        repr(f"{secret}, \"more\" 'of' it"): "'***, \"more\" \\'of\\' it'",
        f"?token={quote(secret, '')}": "?token=***",
        f"?token={quote(secret)}": "?token=***",
        urlencode({"token": secret}): "token=***",
    }
    for text, expected in written.items():
        shown = without_secrets(text, secret_texts({"token": secret}))
        assert expected.replace('"', "'") == shown.replace('"', "'")


def test_passwords_in_addresses_are_secrets_too() -> None:
    values = {"url": "https://me:p%40ssw%C3%B6rd@db/x", "hosts": ["redis://:short@one", "redis://two:6379", "a://b:@c"]}
    hidden = secret_texts(values)
    assert "at https://me:***@db/x with ***" == with_stars(
        "at https://me:p%40ssw%C3%B6rd@db/x with p@ssw\xf6rd", hidden
    )
    assert "redis://***one is short" == with_stars("redis://:short@one is short", hidden)
    assert "redis://two:6379 a://b:@c" == with_stars("redis://two:6379 a://b:@c", hidden)


def test_the_running_context_may_know_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_secrets, "_remembered", {})
    monkeypatch.setattr(_secrets, "_longest_first", ())
    monkeypatch.setattr(_secrets, "_finders", [])
    here: ContextVar[Collection[str]] = ContextVar("here", default=())
    assert ((), (), False) == (secrets_here(), known_secrets(), looks_for_secrets())
    remember_secrets("remembered")
    find_secrets(here.get)
    find_secrets(here.get)
    assert 1 == len(_secrets._finders)
    assert looks_for_secrets()
    assert ["remembered"] == list(known_secrets())
    here.set({"of this one", "the longest of all"})
    assert {"of this one", "the longest of all"} == secrets_here()
    assert ["the longest of all", "of this one", "remembered"] == list(known_secrets())
    assert "*** and ***" == with_stars("the longest of all and remembered", known_secrets())


def test_a_table_that_changes_while_it_is_searched_has_its_secrets() -> None:
    table: dict[str, object] = {"token": "token-one", "name": "innocent"}

    def hides(key: str) -> bool:
        table[f"other-{len(table)}"] = "innocent"  # as another thread does
        return is_secret(key)

    assert {"token-one", "token-two"} == secret_texts({"token": "token-two", "table": table}, hides)


def test_tables_inside_of_themselves_are_searched_to_an_end() -> None:
    itself: dict[str, object] = {"token": "token-one"}
    itself["me"] = itself
    members: list[object] = []
    members.extend({"key": "token-two", "all": members} for _ in range(50))
    deep: dict[str, object] = {"token": "too-deep-to-be-found"}
    for _ in range(5_000):
        deep = {"n": deep}
    values = {"a": itself, "b": members, "c": deep, "password": {"all": members}}
    assert {"token-one", "token-two"} == secret_texts(values)


class Restless(Mapping[str, object]):
    """A table that never holds still, or does so in time."""

    def __init__(self, *, moves: int) -> None:
        self.moves = moves

    def __getitem__(self, key: str) -> object:
        return "token-one"

    def __len__(self) -> int:
        return 1

    def __iter__(self) -> Iterator[str]:
        self.moves -= 1
        if self.moves >= 0:
            raise RuntimeError("changed size during iteration")
        return iter(["token"])


class Untellable:
    """A value without a text."""

    def __str__(self) -> str:
        raise OSError("no text")


def test_what_cannot_be_searched_hides_nothing_else() -> None:
    assert {"token-one"} == secret_texts({"n": Restless(moves=2)})
    assert {"token-two"} == secret_texts({"n": Restless(moves=1000), "token": ["token-two"]})
    assert {"token-two"} == secret_texts({"tokens": [Untellable(), "token-two"], "n": {Untellable(): 1}})
