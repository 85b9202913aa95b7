"""Schemas of configs: what fits makes an instance, what does not is named, and no secret is shown."""

from dataclasses import dataclass
from typing import Annotated, Any

import msgspec
import pytest

from mainspring.errors import ConfigError, InvalidArgumentError
from mainspring.jobs.model import SECRET, ConfigSchema, shown


class Inner(msgspec.Struct, rename="camel"):
    pin_code: Annotated[str, SECRET] = "0"
    depth: int = 1


class Page(msgspec.Struct):
    rows: int
    inner: Inner | None = None
    seeds: list[Inner] = []
    parent: "Page | None" = None


@dataclass
class Plain:
    rows: int
    pin: Annotated[int, SECRET] = 0


def test_values_that_fit_make_an_instance() -> None:
    page = ConfigSchema(Page).check({"rows": "5", "inner": {"depth": 2}, "unknown": 1}, source="here")
    assert Page(5, Inner(depth=2)) == page
    assert Plain(5) == ConfigSchema(Plain).check({"rows": 5}, source="here")


@pytest.mark.parametrize(
    ("kind", "values", "said"),
    [
        (Page, {}, "here: object missing required field `rows`"),
        (Page, {"rows": "x"}, "here: rows: expected `int`, got `str`"),
        (Page, {"rows": 1, "inner": {"depth": []}}, "here: inner.depth: expected `int`, got `array`"),
        (Page, {"rows": 1, "inner": {"pinCode": 5}}, "here: inner.pinCode: its value does not fit"),
        (Page, {"rows": 1, "seeds": [{"depth": ""}]}, "here: seeds: expected `int`, got `str`"),
        (Plain, {"rows": 1, "pin": "1234x"}, "here: pin: its value does not fit"),
    ],
)
def test_what_does_not_fit_is_named(kind: type[Any], values: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        ConfigSchema(kind).check(values, source="here")
    assert said == str(caught.value)


@pytest.mark.parametrize("kind", [int, dict, 5, "Page"])
def test_other_types_are_refused(kind: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="schema"):
        ConfigSchema(kind)


def test_secret_fields_are_found_within_tables_and_shown_as_stars() -> None:
    schema = ConfigSchema(Page)
    assert {"inner.pinCode", "seeds.pinCode"} == schema.secrets
    assert "ConfigSchema(Page)" == repr(schema)
    config = {"rows": 1, "inner": {"pinCode": "1234", "password": "x", "depth": 2}, "url": "http://me:x@host"}
    assert {
        "rows": 1,
        "inner": {"pinCode": "***", "password": "***", "depth": 2},
        "url": "http://me:***@host",
    } == shown(config, schema)
    assert {"a": {"token": "***", "b": 1}, "secrets": "***"} == shown({"a": {"token": 1, "b": 1}, "secrets": {"c": 1}})
    assert {"pin": "***"} == shown({"pin": 5}, ConfigSchema(Plain))


def test_tables_with_keys_of_other_types_are_shown() -> None:
    assert {"a": {1: 2, None: {"token": "***"}}} == shown({"a": {1: 2, None: {"token": 3}}})


@pytest.mark.extras
def test_a_pydantic_model_validates_and_its_secrets_stay_hidden() -> None:
    pydantic: Any = pytest.importorskip("pydantic")

    def check(model: Any) -> Any:
        if model.rows == 13:
            raise ValueError("13 brings bad luck")
        return model

    Model = pydantic.create_model(
        "Model",
        __validators__={"check": pydantic.model_validator(mode="after")(check)},
        rows=(int, ...),
        key=(pydantic.SecretStr | None, None),
        pin=(Annotated[int, SECRET], 0),
    )
    schema = ConfigSchema(Model)
    assert {"key", "pin"} == schema.secrets
    made: Any = schema.check({"rows": "5", "key": "hunter2"}, source="here")
    assert (5, "hunter2") == (made.rows, made.key.get_secret_value())
    for values, said in (
        ({"rows": "hunter2"}, "here: rows: input should be a valid integer, unable to parse string as an integer"),
        ({"rows": 1, "pin": "hunter2"}, "here: pin: its value does not fit"),
        ({"rows": 13}, "here: value error, 13 brings bad luck"),
    ):
        with pytest.raises(ConfigError) as caught:
            schema.check(values, source="here")
        assert said == str(caught.value)


def test_a_class_that_validates_in_its_own_way_says_only_that_it_does_not_fit() -> None:
    class Own:
        @classmethod
        def model_validate(cls, obj: dict[str, object]) -> "Own":
            raise ValueError(obj)

    with pytest.raises(ConfigError, match=r"^here: it does not fit$"):
        ConfigSchema(Own).check({"a": "hunter2"}, source="here")
