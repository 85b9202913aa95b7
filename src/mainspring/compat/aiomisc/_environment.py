"""What a program reads of its surroundings: the variables of aiomisc before ours, the groups of plugins."""

from collections.abc import Sequence
from typing import Final

from mainspring.runtime import Settings

PLUGIN_GROUPS: Final = ("aiomisc", "aiomisc.plugins", "mainspring.plugins")


def variable_names(setting: str) -> Sequence[str]:
    """Return the names of the variables that are read for a setting, the first that is set wins."""
    name = setting.upper()
    older = (f"AIOMISC_{name}", "AIOMISC_LOG_BUFFER") if setting == "log_buffer_size" else (f"AIOMISC_{name}",)
    return (*older, f"MAINSPRING_{name}")


def settings() -> Settings:
    """Read the environment."""
    return Settings.from_environment(names=variable_names)
