"""The variables of aiomisc, which are read before ours."""

from collections.abc import Sequence

from mainspring.runtime import Settings


def variable_names(setting: str) -> Sequence[str]:
    """Return the names of the variables that are read for a setting, the first that is set wins."""
    name = setting.upper()
    older = (f"AIOMISC_{name}", "AIOMISC_LOG_BUFFER") if setting == "log_buffer_size" else (f"AIOMISC_{name}",)
    return (*older, f"MAINSPRING_{name}")


def settings() -> Settings:
    """Read the environment."""
    return Settings.from_environment(names=variable_names)
