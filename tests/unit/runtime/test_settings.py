"""The environment is read when asked, and errors name the variable."""

import pytest

from mainspring.errors import InvalidArgumentError
from mainspring.runtime._settings import Settings


def test_absent_and_empty_variables_keep_the_defaults() -> None:
    assert Settings() == Settings.from_environment({"MAINSPRING_LOG_LEVEL": " "})


def test_every_variable_is_read() -> None:
    found = Settings.from_environment(
        {
            "MAINSPRING_LOG_LEVEL": "debug",
            "MAINSPRING_LOG_FORMAT": "json",
            "MAINSPRING_LOG_DATE_FORMAT": "%H",
            "MAINSPRING_LOG_CONFIG": "no",
            "MAINSPRING_LOG_FLUSH": "100ms",
            "MAINSPRING_LOG_BUFFERING": "off",
            "MAINSPRING_LOG_BUFFER_SIZE": "7",
            "MAINSPRING_POOL_SIZE": "3",
            "MAINSPRING_USE_UVLOOP": "0",
            "MAINSPRING_SHUTDOWN_TIMEOUT": "1m",
            "MAINSPRING_DEBUG": "on",
            "MAINSPRING_NO_PLUGINS": "Yes",
            "MAINSPRING_PLUGINS": "one, two,",
            "MAINSPRING_GC_THRESHOLD": "9",
        }
    )
    expected = Settings("debug", "json", "%H", False, 0.1, False, 7, 3, False, 60.0, True, True, ("one", "two"), 9)
    assert expected == found


@pytest.mark.parametrize("name", ["POOL_SIZE", "USE_UVLOOP", "SHUTDOWN_TIMEOUT"])
def test_what_cannot_be_read_is_named(name: str) -> None:
    with pytest.raises(InvalidArgumentError, match=f"MAINSPRING_{name}='many'"):
        Settings.from_environment({f"MAINSPRING_{name}": "many"})


def test_other_names_may_be_read_the_first_that_is_set_wins() -> None:
    found = {"OLD_DEBUG": "1", "NEW_DEBUG": "0", "NEW_POOL_SIZE": "3", "OLD_POOL_SIZE": " "}
    settings = Settings.from_environment(found, names=lambda name: (f"OLD_{name.upper()}", f"NEW_{name.upper()}"))
    assert (True, 3) == (settings.debug, settings.pool_size)
