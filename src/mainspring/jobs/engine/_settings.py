"""Settings of an app: variables `MAINSPRING__...` over `mainspring.toml` over defaults, and those of its jobs."""

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal  # Any: a config holds plain JSON

import msgspec

from mainspring.base import current_clock
from mainspring.errors import ConfigError
from mainspring.jobs.model import Keep, Retention

if TYPE_CHECKING:
    from mainspring.tools import ConfigLoader

log = logging.getLogger(__name__)


class KeepTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A `Keep` in a settings file."""

    count: int | None = None
    age: float | None = None

    def __post_init__(self) -> None:
        Keep(count=self.count, age=self.age)  # refuses what cannot be


class RetentionTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A `Retention` in a settings file; a misspelt state would remove what somebody wants to keep."""

    succeeded: KeepTable | Literal["all"] | None = None
    failed: KeepTable | Literal["all"] | None = None
    cancelled: KeepTable | Literal["all"] | None = None
    skipped: KeepTable | Literal["all"] | None = None

    def retention(self) -> Retention:
        """Return what it says; a state that it does not name has its default."""
        said: dict[str, Keep] = {}
        for name in self.__struct_fields__:
            given: KeepTable | str | None = getattr(self, name)
            if given is not None:
                said[name] = Keep(count=given.count, age=given.age) if isinstance(given, KeepTable) else Keep()
        return Retention(**said)


class AppSettings(msgspec.Struct, frozen=True):
    """What a settings file may say; tables of others in it are left to them.

    Args:
        store: as `JobApp(store=)`, for apps that are given none.
        state_dir: the directory of what the app keeps by default.
        slots, queues: as `JobApp(slots=, queues=)`, for apps that are given none.
        retention: as `JobApp(retention=)`, for apps that are given none: a table for each state, as
            `[retention.failed]`, with `count`, `age` (seconds) or both, or "all".
        jobs: by job id, keys that replace those of the config in its declaration.
    """

    store: str | None = None
    state_dir: str = ".mainspring"
    slots: Annotated[int, msgspec.Meta(ge=1)] = 10_000
    queues: Annotated[tuple[Annotated[str, msgspec.Meta(min_length=1)], ...], msgspec.Meta(min_length=1)] = ("default",)
    retention: RetentionTable = RetentionTable()
    jobs: dict[str, dict[str, Any]] = msgspec.field(default_factory=dict[str, dict[str, Any]])  # Any: as above


DEFAULTS: Final = AppSettings()
OF_SETTINGS: Final = Retention()
"""Stands for what the settings say, in the place of a retention."""


class SettingsSource:
    """Reads the settings when they are asked for, at most once in `interval` seconds.

    No timer: an idle app reads nothing. A file that can no longer be read leaves the last good settings in
    force, with a warning for each new reason.
    """

    __slots__ = ("_complaint", "_interval", "_last", "_loader", "_next")

    def __init__(self, loader: "ConfigLoader | None", *, interval: float) -> None:
        self._loader = loader
        self._interval = interval
        self._last = DEFAULTS
        self._next = 0.0
        self._complaint = ""

    def load(self) -> AppSettings:
        """Read them now.

        Raises:
            ConfigError: they cannot be read; the error names the place.
        """
        self._next = current_clock().monotonic() + self._interval
        if self._loader is None:
            from mainspring.tools import ConfigLoader  # most of what the declaration of an app would cost

            self._loader = ConfigLoader.from_file("mainspring.toml", env_prefix="MAINSPRING")
        self._last = self._loader.load(AppSettings)
        return self._last

    def now(self) -> AppSettings:
        """Return the last good ones."""
        if current_clock().monotonic() >= self._next:
            self._look_again()
        return self._last

    def of_job(self, job_id: str) -> Mapping[str, Any]:  # Any: as above
        """Return what they say about a job."""
        return self.now().jobs.get(job_id, {})

    def _look_again(self) -> None:
        try:
            self.load()
            self._complaint = ""
        except ConfigError as error:
            if str(error) != self._complaint:
                self._complaint = str(error)
                log.warning("the settings were changed and cannot be used; the last good ones stay: %s", error)
