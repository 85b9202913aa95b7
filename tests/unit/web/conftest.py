from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A state directory of the test's own, without a token from outside."""
    monkeypatch.delenv("MAINSPRING_WEB_TOKEN", raising=False)
    monkeypatch.setenv("MAINSPRING_STATE_DIR", str(tmp_path / "state"))
    return tmp_path / "state"
