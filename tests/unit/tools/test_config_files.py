"""TOML files as layers: what is missing, what is wrong and where, and the line of each key."""

import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mainspring.errors import ConfigError
from mainspring.tools._config_files import TomlFile, key_lines, read_layer
from mainspring.tools._config_layers import leaves, plain

TEXT = '''# a comment

title = "one"
[clickhouse]
user = "demo"   # trailing
ports = [
  1, # ]
  "]",
]
"quoted key".inner = { a = 1, b = { c = 2 } }

[[servers]]
name = "x"
[[servers]]
name = "y"
[ jobs . "load.flights" ]
note = """
[not.a.header]
x = 1
"""
last = true
'''


def test_each_key_knows_its_line() -> None:
    lines = key_lines(TEXT)
    expected = {
        ("title",): 3,
        ("clickhouse",): 4,
        ("clickhouse", "user"): 5,
        ("clickhouse", "ports"): 6,
        ("clickhouse", "quoted key", "inner", "b", "c"): 10,
        ("servers",): 12,
        ("jobs", "load.flights", "note"): 17,
        ("jobs", "load.flights", "last"): 21,
    }
    assert expected == {path: lines[path] for path in expected}
    assert ("x",) not in lines


def test_a_key_without_a_line_of_its_own_has_that_of_its_statement() -> None:
    file = TomlFile(Path("a.toml"), "\n[a]\nb = 1\n")
    assert "a.toml:3" == file.at(("a", "b", "c"))
    assert "a.toml:2" == file.at(("a", "z"))
    assert "a.toml" == file.at(("other",))


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from("abcd"), st.sampled_from(["1", '"x"', "[1,\n 2]", '"""\na\n"""', "{x = 1}"])),
        max_size=8,
    )
)
def test_the_line_of_a_key_holds_the_key(pairs: list[tuple[str, str]]) -> None:
    text = "\n".join(f"{key}{number} = {value}" for number, (key, value) in enumerate(pairs))
    rows = text.splitlines()
    for number, (key, _) in enumerate(pairs):
        assert rows[key_lines(text)[f"{key}{number}",] - 1].startswith(f"{key}{number} =")


def test_other_characters_end_no_line() -> None:
    text = 'a = "\u2028x\x85" # \u2029\nb = 1\n'
    assert {("a",): 1, ("b",): 2} == key_lines(text)


def test_the_mark_that_some_editors_write_is_no_part_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "c.toml").write_bytes(b"\xef\xbb\xbfa = 1\n")
    layer = read_layer(tmp_path / "c.toml")
    assert [(("a",), 1, f"{tmp_path}/c.toml:1")] == [
        (path, leaf.value, leaf.source.at(path)) for path, leaf in leaves(layer)
    ]


def test_a_missing_file_is_an_empty_layer(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert {} == read_layer(tmp_path / "none.toml")
    assert {} == read_layer(tmp_path / "file" / "below.toml")


@pytest.mark.parametrize(
    ("text", "line"), [("a = 1\nb = \n", 2), ("a = [1,\n2", 2), ("a = 1\na = 2\n", 2), ('a = """x', 1)]
)
def test_the_error_names_file_and_line(tmp_path: Path, text: str, line: int) -> None:
    path = tmp_path / "bad.toml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=re.escape(f"{path}:{line}: this is no TOML: ")):
        read_layer(path)


def test_a_file_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "latin.toml").write_bytes(b'a = "\xff"\n')
    with pytest.raises(ConfigError, match="no UTF-8"):
        read_layer(tmp_path / "latin.toml")
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        read_layer(tmp_path)


def test_values_keep_their_types(tmp_path: Path) -> None:
    path = tmp_path / "a.toml"
    path.write_text("a = 1\nb = 1.5\nc = true\nd = 2024-01-02\n[e]\nf = [[1], [2]]\n[empty]\n")
    assert "{'a': 1, 'b': 1.5, 'c': True, 'd': datetime.date(2024, 1, 2), 'e': {'f': [[1], [2]]}}" == repr(
        plain(read_layer(path))
    )
