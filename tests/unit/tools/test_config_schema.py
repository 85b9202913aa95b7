"""Records: the keys that their types know, and values that fit or say where they came from."""

from dataclasses import dataclass, field
from decimal import Decimal
from enum import Enum
from typing import Annotated, Literal, TypedDict

import msgspec
import pytest

from mainspring.errors import ConfigError, InvalidArgumentError
from mainspring.tools._config_environment import read_layer
from mainspring.tools._config_layers import Argument, grow, overlay
from mainspring.tools._config_schema import build, check_kind, join_known, known_keys, type_at


class Pool(msgspec.Struct, rename="kebab"):
    pool_size: int = 1


@dataclass
class Settings:
    host: str
    port: Annotated[int, msgspec.Meta(gt=0)] = 1
    pool: Pool | None = None
    limits: dict[str, int] = field(default_factory=dict[str, int])
    password: str | None = None
    price: Decimal = Decimal(0)
    again: "Settings | None" = None


class Typed(TypedDict):
    inner: Settings


def from_variables(**variables: str) -> Settings:
    return build(read_layer(variables, "P", known_keys(Settings) or {}), Settings)


def test_the_keys_of_a_type_are_known() -> None:
    assert {
        "host": None,
        "port": None,
        "pool": {"pool-size": None},
        "limits": {},
        "password": None,
        "price": None,
        "again": {},
    } == known_keys(Settings)


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("host", str),
        ("pool.pool-size", int),
        ("limits.any", int),
        ("again.again.port", Annotated[int, msgspec.Meta(gt=0)]),
        ("nothing", None),
        ("host.more", None),
    ],
)
def test_a_path_has_a_type(path: str, kind: object) -> None:
    assert kind == type_at(Settings, tuple(path.split(".")))


def test_tables_join_what_they_know() -> None:
    known = join_known({"a": {"b": None}, "c": None, "d": {}}, {"a": {"e": None}, "c": {"f": None}, "d": None})
    assert {"a": {"b": None, "e": None}, "c": {"f": None}, "d": {}} == known


def test_a_password_of_digits_stays_text() -> None:
    settings = from_variables(
        P__HOST="10", P__PASSWORD="0123456", P__PORT="8443", P__PRICE="1.10", P__POOL_POOL_SIZE="3"
    )
    assert Settings("10", 8443, Pool(3), {}, "0123456", Decimal("1.10")) == settings
    assert "1.10" == str(settings.price)
    assert "123456" == from_variables(P__HOST="h", P__PASSWORD="123456").password


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"P__HOST": "h", "P__PORT": "x"}, "the environment variable P__PORT: port: expected `int`, got `str`"),
        ({"P__HOST": "h", "P__PORT": "-1"}, "the environment variable P__PORT: port: expected `int` >= 1"),
        ({"P__PORT": "1"}, "the environment variable P__PORT: object missing required field `host`"),
        ({"P__HOST": "h", "P__POOL_POOL_SIZE": "[]"}, "P__POOL_POOL_SIZE: pool.pool-size: expected `int`, got `array`"),
        ({"P__HOST": "h", "P__LIMITS_MAX": "x"}, "the environment variable P__LIMITS_MAX: limits: expected `int`"),
        ({"P__HOST": "h", "P__PASSWORD": "[1]"}, "P__PASSWORD: password: expected `str | null`, got `array`"),
    ],
)
def test_a_misfit_names_the_variable(variables: dict[str, str], said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        from_variables(**variables)
    assert said in str(caught.value)


def test_a_missing_field_of_nothing_names_the_configuration() -> None:
    with pytest.raises(ConfigError, match="the configuration: object missing required field `host`"):
        build({}, Settings)


def test_a_misfit_shows_no_secret() -> None:
    class Secretive(msgspec.Struct):
        token: Annotated[str, msgspec.Meta(pattern="^ok$")]
        mode: Annotated[str, msgspec.Meta(max_length=3)] = ""

    tree = grow({"token": "hunter2"}, Argument())
    with pytest.raises(ConfigError) as caught:
        build(tree, Secretive)
    assert "hunter2" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert "token" == caught.value.key


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


class Chosen(msgspec.Struct):
    colour: Colour = Colour.RED
    level: Literal[1, 2] | None = None


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"colour": "green"}, "colour: invalid enum value 'green', expected one of 'red', 'blue'"),
        ({"level": 3}, "level: invalid enum value 3, expected one of 1, 2"),
    ],
)
def test_a_choice_that_is_none_names_those_that_are(values: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        build(grow(values, Argument()), Chosen)
    assert said in str(caught.value)


def test_a_quoted_value_of_a_secret_is_hidden() -> None:
    class Kind(msgspec.Struct, tag="x"):
        pass

    class Other(msgspec.Struct, tag="y"):
        pass

    class Holder(msgspec.Struct):
        secret: Kind | Other

    with pytest.raises(ConfigError) as caught:
        build(grow({"secret": {"type": "hunter2"}}, Argument()), Holder)
    assert "hunter2" not in str(caught.value)
    assert "***" in str(caught.value)


def test_typed_dicts_and_layers_go_together() -> None:
    tree = grow({"inner": {"host": "a", "port": 1}}, Argument())
    overlay(tree, grow({"inner": {"port": 2}}, Argument()))
    assert {"inner": Settings("a", 2)} == build(tree, Typed)


@pytest.mark.parametrize("kind", [int, dict, "Settings", None])
def test_only_records_can_be_loaded(kind: object) -> None:
    with pytest.raises(InvalidArgumentError, match="a msgspec Struct, a dataclass or a TypedDict"):
        check_kind(kind)  # type: ignore[arg-type]  # what is tested
