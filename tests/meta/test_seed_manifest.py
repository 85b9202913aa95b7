"""The list of the seeds' examples: each is run by a test that exists, and each test of a seed is on the list."""

import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.meta.support_tree import ROOT

SEEDS = ROOT / "tests" / "seeds"
TEST = re.compile(r"^(?:async )?def (test_\w+)", re.MULTILINE)

Manifest = Mapping[str, Sequence[Mapping[str, Any]]]


def listed_tests(folder: Path, seed: str) -> set[str]:
    """Return the tests of a seed as its list names them."""
    return {
        f"{path.stem.removeprefix(f'test_{seed}_')}::{test}"
        for path in folder.glob(f"test_{seed}_*.py")
        for test in TEST.findall(path.read_text())
    }


def manifest_complaints(manifest: Manifest, folder: Path) -> list[str]:
    """Return what is wrong with the list."""
    complaints: list[str] = []
    for seed, examples in manifest.items():
        there = listed_tests(folder, seed)
        named = {test for example in examples for test in example.get("tests", ())}
        complaints += [f"{seed}: {test} is no test" for test in sorted(named - there)]
        complaints += [f"{seed}: {test} runs no example of the list" for test in sorted(there - named)]
        complaints += [
            f"{seed}: {example.get('place')}: needs a place, and tests or what it shows instead"
            for example in examples
            if not example.get("place") or bool(example.get("tests")) is bool(example.get("shows"))
        ]
    return complaints


def test_each_example_of_a_seed_has_its_test() -> None:
    manifest = tomllib.loads((SEEDS / "manifest.toml").read_text())
    assert [] == manifest_complaints(manifest, SEEDS)


def test_the_rules_of_the_list_can_fail(tmp_path: Path) -> None:
    (tmp_path / "test_old_1.py").write_text("def test_a(): ...\nasync def test_b(): ...\n")
    manifest: Manifest = {
        "old": [
            {"place": "1: both", "tests": ["1::test_a"], "shows": "nothing"},
            {"place": "2: gone", "tests": ["1::test_c"]},
            {"place": "3: neither"},
            {"tests": ["1::test_a"]},
        ]
    }
    said = "\n".join(manifest_complaints(manifest, tmp_path))
    for part in (
        "1::test_c is no test",
        "1::test_b runs no example",
        "1: both: needs",
        "3: neither: needs",
        "None: needs",
    ):
        assert part in said
