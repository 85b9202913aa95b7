"""Settings of the demo: variables `MAINSPRING__DEMO__...` over `[demo]` of mainspring.toml; and whom to tell."""

from typing import Any  # Any: the notifier reads its own settings

import msgspec
from rich.console import Console

from mainspring.errors import NotifyError
from mainspring.tools import ConfigLoader, Notifier


class DemoSettings(msgspec.Struct, frozen=True):
    """What the demo does when the command line says nothing.

    Args:
        days: days of 2013 to load.
        seed: decides how the API misbehaves.
        state: the directory of its files.
        alert_channel: the channel of `[notifier]` that is told of failures.
    """

    days: int = 365
    seed: int = 2013
    state: str = ".mainspring/demo"
    alert_channel: str = "alerts"


class _File(msgspec.Struct, frozen=True):
    demo: DemoSettings = DemoSettings()
    notifier: dict[str, Any] | None = None  # Any: as above


def load_settings() -> DemoSettings:
    """Return the settings of the demo.

    Raises:
        ConfigError: they cannot be read; the error names the place.
    """
    return _load().demo


async def alert(text: str, console: Console) -> None:
    """Tell the channel of the settings' notifier, if there is one; a failure to tell is told on the console."""
    found = _load()
    if found.notifier is None:
        return
    try:
        await Notifier.from_settings(found.notifier).notify(found.demo.alert_channel, text)
    except NotifyError as error:
        console.print(f"the alert was not sent: {error}", highlight=False)


def _load() -> _File:
    return ConfigLoader.from_file("mainspring.toml", env_prefix="MAINSPRING").load(_File)
