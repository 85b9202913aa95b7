"""What an alert says; secrets of a config and credentials stand neither in it nor in the rows of a run."""

from pathlib import Path
from typing import Any

import pytest
from tests.unit.jobs.engine.support_engine import make_app, running

from mainspring.jobs import Alert, JobContext
from mainspring.tools import AccountCredentialManager, TomlCredentials


@pytest.mark.parametrize("ttl", [0.0, 60.0])
async def test_a_record_its_rows_and_its_alert_show_no_secret(tmp_path: Path, ttl: float) -> None:
    (tmp_path / "keys").mkdir()
    write_keys(tmp_path / "keys")
    app, told = make_app(tmp_path, drain_timeout=1.0), list[Alert]()
    manager = AccountCredentialManager(stores=[TomlCredentials(tmp_path / "keys")], ttl=ttl)

    async def tell(alert: Alert) -> None:
        told.append(alert)

    @app.job("leak", retry=1, alert=tell, config={"api_token": "tok-en-value", "note": "plain"})
    async def leak(ctx: JobContext, config: dict[str, Any]) -> None:
        keys = await manager.get_credential_async("ann", "binance", "spot")
        raise OSError(f"{config['api_token']} {keys.secret_key} {keys.access_key} {config['note']}")

    async with running(app):
        result = await app.run_job("leak")
        record = await app.run(result.run_id)
        assert record is not None
        (retried,) = await app.store.events(result.run_id)
    for text in (result.error, record.error_message, record.error_detail, str(retried.detail), told[0].text):
        assert text is not None
        assert "*** *** *** plain" in text
        for secret in ("tok-en-value", "my-secret-key", "my-access-key"):
            assert secret not in text


def write_keys(folder: Path) -> None:
    (folder / "ann.toml").write_text(KEYS)


KEYS = """
api_key = "my-access-key"
secret_key = "my-secret-key"
"""
