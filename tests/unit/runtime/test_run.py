"""`run` needs a coroutine, and says so to those who forgot to make one."""

from typing import Any

import pytest
from tests.unit.runtime.support_services import Noted

from mainspring.errors import MisuseError
from mainspring.runtime import run


async def main() -> int:
    return 42


@pytest.mark.parametrize(
    ("given", "hint"),
    [
        (main, "call it: run(main(), ...)"),
        (Noted(log=[]), "run(asyncio.Event().wait(), service)"),
        (None, "give the main coroutine first"),
    ],
)
def test_what_cannot_be_awaited_is_refused_with_what_was_meant(given: Any, hint: str) -> None:
    with pytest.raises(MisuseError, match="run needs something to await first, and got") as caught:
        run(given, log_config=False)
    assert hint in (caught.value.hint or "")
