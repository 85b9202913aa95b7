"""Secrets are compared in constant time: never with `==`, whose time tells how much of a guess is right."""

import ast
import re
from collections.abc import Sequence
from pathlib import Path

from tests.meta.support_tree import Module, plant, read_modules

SECRET = re.compile(
    r"(?<![a-z])(proof|digest|mac|hmac|token|secret|password|auth_key|signature)s?(?![a-z])", re.IGNORECASE
)
# Rooms that meet strangers.
ROOMS = {"transport", "services", "compat"}
COMPARES_SECRETS = {
    "mainspring.transport._handshake",
    "mainspring.transport._proxy",
    "mainspring.compat.mutil._older_handshake",
}


def secret_complaints(modules: Sequence[Module]) -> list[str]:
    """Return each comparison of what seems to be a secret that is not compare_digest."""
    complaints: list[str] = []
    for module in modules:
        if module.room not in ROOMS:
            continue
        for node in ast.walk(module.tree):
            if not isinstance(node, ast.Compare) or not any(
                isinstance(one, ast.Eq | ast.NotEq | ast.In) for one in node.ops
            ):
                continue
            names = [ast.unparse(one) for one in (node.left, *node.comparators) if not isinstance(one, ast.Constant)]
            complaints += [
                f"{module.path}:{node.lineno}: {name} is compared without compare_digest"
                for name in names
                if SECRET.search(name) and not name.startswith("len(")
            ]
    return complaints


def test_secrets_are_compared_in_constant_time() -> None:
    assert [] == secret_complaints(read_modules())


def test_whoever_checks_a_secret_uses_compare_digest() -> None:
    using = {module.name for module in read_modules() if "compare_digest(" in module.text}
    assert using >= COMPARES_SECRETS


def test_the_rule_can_fail(tmp_path: Path) -> None:
    files = {
        "transport/_a.py": "def f(proof, other, token, tokens):\n    return proof == other or token in tokens\n",
        "transport/_b.py": "def f(proof, size):\n    return len(proof) == size\n",
        "base/_c.py": "def f(token):\n    return token == 1\n",
    }
    assert 3 == len(secret_complaints(plant(tmp_path, files)))
