"""The environment as a layer: which key a variable names, what its text means, and what cannot be."""

import pytest

from mainspring.errors import ConfigError
from mainspring.tools._config_environment import Known, key_path, known_keys, parse_value, read_layer
from mainspring.tools._config_layers import Leaf, grow, leaves, plain

KNOWN: Known = {
    "clickhouse": {"pool_size": None, "pool": {"min": None}},
    "click_house": {"poolSize": None},
    "debug_level": None,
    "a": {"b_c": None},
    "a_b": {"d": None},
    "limits": {},
}


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("P__DEBUG", "debug"),
        ("P__CLICKHOUSE_DATABASE", "clickhouse.database"),
        ("P__X_B_C", "x.b.c"),
        ("P__FooBar_ABC", "foo_bar.abc"),
        ("P__CLICKHOUSE_POOL_SIZE", "clickhouse.pool_size"),
        ("P__CLICKHOUSE_POOL_MIN", "clickhouse.pool.min"),
        ("P__CLICKHOUSE_POOL_MAX", "clickhouse.pool.max"),
        ("P__CLICK_HOUSE_POOL_SIZE", "click_house.poolSize"),
        ("P__DEBUG_LEVEL", "debug_level"),
        ("P__DEBUG_LEVEL_MAX", "debug.level.max"),
        ("P__A_B_C", "a.b_c"),
        ("P__A_B_D", "a_b.d"),
        ("P__A_B_E", "a_b.e"),
        ("P__LIMITS_MAX", "limits.max"),
        ("P__NEW__POOL_SIZE", "new.pool_size"),
        ("P__click_house__POOL_SIZE", "click_house.poolSize"),
        ("P__A__B__C", "a.b.c"),
    ],
)
def test_a_variable_names_a_key(name: str, path: str) -> None:
    assert tuple(path.split(".")) == key_path(name, "P", KNOWN)


@pytest.mark.parametrize("name", ["P__", "P___A", "P__A_", "P__A__", "P__A____B", "P__A___B"])
def test_an_empty_part_names_no_key(name: str) -> None:
    with pytest.raises(ConfigError, match=f"the environment variable {name}: it names no key"):
        key_path(name, "P", {})


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("8443", 8443),
        ("true", True),
        ("1.5", 1.5),
        ("null", None),
        ("[1,2]", [1, 2]),
        ('{"a":1}', {"a": 1}),
        ('"x"', "x"),
        ("007", "007"),
        ("abc", "abc"),
        ("1_000", "1_000"),
        ("NaN", "NaN"),
        ("-Infinity", "-Infinity"),
        ("", ""),
        ("[" * 100_000, "[" * 100_000),
    ],
)
def test_text_is_json_or_stands_for_itself(text: str, value: object) -> None:
    assert (value, type(value)) == (parse_value(text), type(parse_value(text)))


def test_only_the_very_prefix_counts() -> None:
    environment = {"P__A": "1", "p__B": "2", "PP__C": "3", "P_D": "4", "XP__E": "5", "P": "6"}
    assert {"a": 1} == plain(read_layer(environment, "P", {}))


def test_variables_fill_one_table_together() -> None:
    environment = {"P__A_B": "1", "P__A": '{"c": 2, "d": {}}', "P__A__E_F": "x"}
    assert {"a": {"b": 1, "c": 2, "e_f": "x"}} == plain(read_layer(environment, "P", {}))


@pytest.mark.parametrize(
    ("first", "second", "key"),
    [
        (("P__A", "1"), ("P__A_B", "2"), "a"),
        (("P__A", "null"), ("P__A_B", "2"), "a"),
        (("P__A_B", "2"), ("P__A__B", "2"), "a"),
        (("P__A__B", "2"), ("P__A_B", "2"), "a.b"),
        (("P__FooBar", "2"), ("P__fooBar", "2"), "foo_bar"),
        (("P__A", '{"b": {"c": 1}}'), ("P__A_B", "2"), "a.b"),
    ],
)
def test_two_variables_about_one_key_are_an_error(first: tuple[str, str], second: tuple[str, str], key: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read_layer(dict([second, first]), "P", {})
    assert first[0] in str(caught.value)
    assert second[0] in str(caught.value)
    assert key in caught.value.key


def test_a_null_stays_as_a_deletion() -> None:
    tree = read_layer({"P__A_B": "null"}, "P", {})
    assert [(("a", "b"), None)] == [(path, leaf.value) for path, leaf in leaves(tree)]


def test_a_leaf_keeps_its_text_and_its_variable() -> None:
    node = read_layer({"P__A": "12"}, "P", {})["a"]
    assert isinstance(node, Leaf)
    assert ("12", "the environment variable P__A") == (node.text, node.source.at(("a",)))


def test_the_keys_of_a_tree_are_known() -> None:
    tree = grow({"a": {"b": 1}, "c": [1], "d": {}}, Leaf(0, None).source)  # type: ignore[arg-type]  # never asked
    assert {"a": {"b": None}, "c": None} == known_keys(tree)
