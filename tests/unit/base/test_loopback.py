"""Only this machine itself is loopback."""

import pytest

from mainspring.base import is_loopback


@pytest.mark.parametrize(
    ("host", "answer"),
    [("127.0.0.1", True), ("127.9.9.9", True), ("::1", True), ("localhost", True), ("Localhost", True),
     ("0.0.0.0", False), ("10.0.0.1", False), ("example.org", False), ("::", False), ("localhost.example.org", False)],
)  # fmt: skip
def test_only_this_machine_is_loopback(host: str, answer: bool) -> None:
    assert answer is is_loopback(host)
