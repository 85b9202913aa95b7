"""Settings of an app: variables `MAINSPRING__...` over `mainspring.toml` over defaults, and those of its jobs.

What the app is given when it is made, or by the command that runs it, goes over them.
"""

import logging
from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, TypeAlias, get_args  # Any: a config holds plain JSON

import msgspec
from msgspec import Meta

from mainspring.base import current_clock, seconds_hint
from mainspring.errors import ConfigError, InvalidArgumentError
from mainspring.jobs.engine._misspelt import say_misspelt
from mainspring.jobs.engine._option_values import LONGEST, is_number
from mainspring.jobs.model import Keep, Retention

if TYPE_CHECKING:
    from mainspring.tools import ConfigLoader

log = logging.getLogger(__name__)

Durable: TypeAlias = Literal["memory", "process", "disk"]
"""The levels of `storage.Durability`, which costs more to import than an app that is only declared."""
_YEAR: Final = 366 * 86_400.0
KEY_LIFETIME: Final = 7 * 86_400.0
"""Seconds for which an idempotency key names its run, unless an app says otherwise."""
Patience: TypeAlias = Annotated[float, Meta(ge=0, le=_YEAR)]


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
        durability, slots, live_reserve, queues, poll_interval, drain_timeout, cancel_grace, key_lifetime: as those of
            `JobApp`, for apps that are given none.
        retention: as `JobApp(retention=)`, for apps that are given none: a table for each state, as
            `[retention.failed]`, with `count`, `age` (seconds) or both, or "all".
        jobs: by job id, keys that replace those of the config in its declaration.
    """

    store: str | None = None
    state_dir: str = ".mainspring"
    durability: Durable = "disk"
    slots: Annotated[int, Meta(ge=1)] = 10_000
    live_reserve: Annotated[int, Meta(ge=0)] | None = None
    queues: Annotated[tuple[Annotated[str, Meta(min_length=1)], ...], Meta(min_length=1)] = ("default",)
    poll_interval: Annotated[float, Meta(gt=0, le=_YEAR)] = 2.0
    drain_timeout: Patience = 10.0
    cancel_grace: Patience = 5.0
    key_lifetime: Annotated[float, Meta(gt=0, le=LONGEST)] = KEY_LIFETIME
    retention: RetentionTable = RetentionTable()
    jobs: dict[str, dict[str, Any]] = msgspec.field(default_factory=dict[str, dict[str, Any]])  # Any: as above


DEFAULTS: Final = AppSettings()
OF_SETTINGS: Final = Retention()
"""Stands for what the settings say, in the place of a retention."""


class SettingsSource:
    """Reads the settings when they are asked for, at most once in their `poll_interval`.

    No timer: an idle app reads nothing. A file that can no longer be read leaves the last good settings in
    force, with a warning for each new reason.

    Args:
        given: what goes over them, by the names in `AppSettings`; None leaves a thing to them.
    """

    __slots__ = ("_complaint", "_given", "_loader", "_next", "last")

    def __init__(self, loader: "ConfigLoader | None", **given: Any) -> None:  # Any: checked one by one
        self._loader = loader
        self._given: dict[str, Any] = {}  # Any: as above
        self.last = DEFAULTS
        self._next = 0.0
        self._complaint = ""
        self.give(**given)

    def give(self, **given: Any) -> None:  # Any: as above
        """Let further things go over the settings.

        Raises:
            InvalidArgumentError: a value is out of range; then all stays as it was.
        """
        wanted = {**self._given, **{name: value for name, value in given.items() if value is not None}}
        _check_given(wanted)
        if "queues" in wanted:
            wanted["queues"] = tuple(wanted["queues"])
        self._given = wanted
        self.last = msgspec.structs.replace(self.last, **wanted)

    def load(self) -> AppSettings:
        """Read them now.

        Raises:
            ConfigError: they cannot be read; the error names the place.
        """
        self._next = current_clock().monotonic() + self.last.poll_interval
        if self._loader is None:
            from mainspring.tools import ConfigLoader  # most of what the declaration of an app would cost

            self._loader = ConfigLoader.from_file("mainspring.toml", env_prefix="MAINSPRING")
        found = self._loader.load(AppSettings)
        is_given = "slots" in self._given or "live_reserve" in self._given
        if not is_given and found.live_reserve is not None and found.live_reserve >= found.slots:
            raise _too_large_reserve(self._loader, found)
        self.last = msgspec.structs.replace(found, **self._given)
        self._next = current_clock().monotonic() + self.last.poll_interval
        return self.last

    def say_misspelt(self, jobs: Collection[str]) -> None:
        """Warn about names that are most likely misspelt.

        Args:
            jobs: the ids that the store knows.
        """
        if self._loader is not None:
            say_misspelt("key", self._loader.load_config(), AppSettings.__struct_fields__)
            say_misspelt("job", self.last.jobs, jobs)

    def now(self) -> AppSettings:
        """Return the last good ones."""
        if current_clock().monotonic() >= self._next:
            self._look_again()
        return self.last

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


def _check_given(given: Mapping[str, Any]) -> None:  # Any: as above
    """Refuse what cannot be, now and not when it is used."""
    for name, value in given.items():
        expected, fits = _ALLOWED[name]
        try:
            fitting = fits(value)
        except TypeError:  # it is of another type
            fitting = False
        if not fitting:
            hint = seconds_hint(value) if "seconds" in expected else None
            raise InvalidArgumentError(argument=name, value=value, expected=expected, hint=hint)
    slots, reserve = given.get("slots"), given.get("live_reserve")
    if slots is not None and reserve is not None and reserve >= slots:
        raise InvalidArgumentError(argument="live_reserve", value=reserve, expected=_RESERVE)


def _are_names(queues: Any) -> bool:  # Any: as above
    return bool(queues) and not isinstance(queues, str) and all(isinstance(name, str) and name for name in queues)


_RESERVE: Final = "from 0 to slots - 1"
_ALLOWED: Final[Mapping[str, tuple[str, Callable[[Any], bool]]]] = {  # Any: as above
    "durability": ("one of 'memory', 'process', 'disk'", lambda level: level in get_args(Durable)),
    "slots": ("an int >= 1", lambda count: type(count) is int and count >= 1),
    "live_reserve": (_RESERVE, lambda count: type(count) is int and count >= 0),
    "queues": ("one or more names of queues", _are_names),
    "poll_interval": ("finite seconds > 0", lambda seconds: is_number(seconds) and seconds > 0),
    "drain_timeout": ("finite seconds >= 0", lambda seconds: is_number(seconds) and seconds >= 0),
    "key_lifetime": ("seconds > 0, of 100 years at most", lambda time: is_number(time) and 0 < time <= LONGEST),
    "cancel_grace": ("finite seconds >= 0", lambda seconds: is_number(seconds) and seconds >= 0),
}


def _too_large_reserve(loader: "ConfigLoader", found: AppSettings) -> ConfigError:
    """Return the error of settings whose reserve leaves backfills no slot, with its place if that can be told."""
    places = [one.source for one in loader.explain() if one.key.replace(".", "_") == "live_reserve"]
    reason = f"expected {_RESERVE}, and slots is {found.slots}; got {found.live_reserve}"
    return ConfigError(source=places[0] if places else "the settings", key="live_reserve", reason=reason)
