"""Trees of layers: what wins, what is removed, what is shared with nobody."""

from collections.abc import Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mainspring.errors import ConfigError
from mainspring.tools._config_layers import Argument, Config, Tree, dotted, grow, leaves, overlay, plain
from mainspring.tools._values import is_table

KEYS = st.sampled_from(["a", "b", "c", "pool_size"])
SCALARS = st.none() | st.integers() | st.text(max_size=3) | st.booleans() | st.lists(st.integers(), max_size=3)
TABLES = st.recursive(
    st.dictionaries(KEYS, SCALARS, max_size=3),
    lambda inner: st.dictionaries(KEYS, SCALARS | inner, max_size=4),
    max_leaves=12,
)

Flat = dict[tuple[str, ...], object]


def flatten(table: Mapping[str, object], above: tuple[str, ...] = ()) -> Flat:
    """Return the leaves of a nested dict by their paths."""
    flat: Flat = {}
    for key, value in table.items():
        if is_table(value):
            flat |= flatten(value, (*above, key))
        else:
            flat[*above, key] = value
    return flat


def lay(flat: Flat, layer: Flat) -> Flat:
    """The rule in its plainest form: a leaf displaces all that lies at, above or below its place."""
    for path, value in layer.items():
        below = {other for other in flat if other[: len(path)] == path}
        above = (
            {other for other in flat if path[: len(other)] == other} if value is not None else set[tuple[str, ...]]()
        )
        flat = {other: kept for other, kept in flat.items() if other not in above | below}
        if value is not None:
            flat[path] = value
    return flat


@settings(deadline=None)
@given(st.lists(TABLES, max_size=5))
def test_layers_merge_by_the_rule(layers: list[dict[str, object]]) -> None:
    tree: Tree = {}
    model: Flat = {}
    for layer in layers:
        overlay(tree, grow(layer, Argument()))
        model = lay(model, flatten(layer))
    assert model == flatten(plain(tree))
    assert model == {path: leaf.value for path, leaf in leaves(tree)}


def test_nothing_is_shared_with_what_was_given() -> None:
    given_list = [{"x": [1]}]
    tree = grow({"a": given_list, "b": {"c": 1}}, Argument())
    loaded = plain(tree)
    given_list[0]["x"].append(2)
    plain(tree)["a"][0]["x"].append(3)
    loaded["b"]["c"] = 5
    assert {"a": [{"x": [1]}], "b": {"c": 1}} == plain(tree)
    assert [{"x": [1]}] == loaded["a"]


def test_objects_are_passed_through() -> None:
    thing = object()
    assert thing is plain(grow({"a": thing}, Argument()))["a"]


def test_a_key_that_is_no_text_is_an_error() -> None:
    with pytest.raises(ConfigError, match="the config argument: a: a key is the int 1"):
        grow({"a": {1: 2}}, Argument())


def test_unusual_parts_of_a_key_are_quoted() -> None:
    assert 'jobs."load.flights".pool-size.0' == dotted(("jobs", "load.flights", "pool-size", "0"))


def test_a_config_shows_no_secret() -> None:
    config = Config(user="me", password="hunter2", inner=Config(token="t"))
    assert "{'user': 'me', 'password': '***', 'inner': {'token': '***'}}" == repr(config)
    assert "hunter2" == config["password"]
    assert "hunter2" not in f"{config}"
