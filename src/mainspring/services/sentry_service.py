"""`SentrySender` and `RavenSender`: log records as events of Sentry (extra `raven`, which is sentry-sdk)."""

import logging
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from mainspring.base import load_extra
from mainspring.concurrency import threaded
from mainspring.runtime import Service, level_number
from mainspring.services._raven_options import SentryOptions, from_environment, translate

if TYPE_CHECKING:
    from sentry_sdk import Client

log = logging.getLogger(__name__)

Filter: TypeAlias = logging.Filter

_OWN_LOGGERS: Final = ("sentry_sdk", "urllib3")  # what sending an event logs is no event
_LEVELS: Final = ((logging.CRITICAL, "fatal"), (logging.ERROR, "error"), (logging.WARNING, "warning"))
_PLAIN_FIELDS: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class SentrySender(Service):
    """Sends log records of all loggers, with exceptions and local variables, to Sentry.

    Events are made where the record is logged and sent by a thread of sentry-sdk, whose queue is bounded. Nothing
    else of the process is touched: no hook, no global client. At the stop what waits is sent, up to
    `close_timeout`.

    Attributes:
        sentry_dsn: where to.
        min_level: the lowest level that is sent, a number or a name.
        options: of `sentry_sdk.Client`; `SENTRY_NAME`, `SENTRY_ENVIRONMENT` and `SENTRY_RELEASE` are the defaults
            of `server_name`, `environment` and `release`.
        tags: of each event.
        extra: context of each event.
        filters: of records; see `logging.Handler.addFilter`.
        close_timeout: seconds for what waits at the stop.

    Raises:
        MissingExtraError: (from the start) the extra `raven` is not installed.
    """

    __required__ = ("sentry_dsn",)

    sentry_dsn: str
    min_level: int | str = logging.WARNING
    options: Mapping[str, Any] = {}  # never changed
    tags: Mapping[str, Any] = {}  # never changed
    extra: Mapping[str, Any] = {}  # never changed
    filters: Iterable[Filter] = ()
    close_timeout: float = 2.0

    _handler: "_EventHandler | None" = None

    def sentry_options(self) -> SentryOptions:
        """Return what the client is made of and what events carry."""
        return SentryOptions(client=dict(self.options), tags=dict(self.tags), extra=dict(self.extra))

    async def start(self) -> None:
        """Begin to send, and return."""
        made = self.sentry_options()
        for name in made.ignored:
            log.warning("the option %s of raven has no counterpart in sentry-sdk: its value is ignored", name)
        self._handler = await threaded(self._make_handler)(made)
        for one in self.filters:
            self._handler.addFilter(one)
        logging.getLogger().addHandler(self._handler)

    async def stop(self, exception: Any = None) -> None:
        """Send what waits."""
        handler, self._handler = self._handler, None
        if handler is not None:
            logging.getLogger().removeHandler(handler)
            await threaded(handler.finish)(self.close_timeout)

    def _make_handler(self, made: SentryOptions) -> "_EventHandler":
        return _EventHandler(_make_client(self.sentry_dsn, made), made, level=level_number(self.min_level))


class RavenSender(SentrySender):
    """A SentrySender with the options of the raven client; see `SentrySender`.

    Each option is translated; what has no counterpart is accepted with its documented default, and ignored with a
    warning otherwise (`list_max_length`, `processors`).

    Attributes:
        client_options: of `raven.Client`.

    Raises:
        InvalidArgumentError: an option that raven did not know.
    """

    client_options: Mapping[str, Any] = {}  # never changed

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        translate(self.client_options)

    def sentry_options(self) -> SentryOptions:
        """Return what the client is made of and what events carry."""
        made = translate(self.client_options)
        made.client = {**made.client, **self.options}
        made.tags = {**made.tags, **self.tags}
        made.extra = {**made.extra, **self.extra}
        return made


def _make_client(dsn: str, made: SentryOptions) -> "Client":
    load_extra("sentry_sdk", feature="sending to Sentry", extra="raven")
    from sentry_sdk import Client
    from sentry_sdk.scrubber import DEFAULT_DENYLIST, EventScrubber

    options: dict[str, Any] = {
        "default_integrations": False,
        "auto_enabling_integrations": False,
        "event_scrubber": EventScrubber(denylist=[*DEFAULT_DENYLIST, *made.denied_keys]),
        **from_environment(),
        **made.client,
    }
    return Client(dsn, **options)


def _versions() -> dict[str, str]:
    """Return the installed distributions with their versions."""
    from importlib.metadata import distributions

    return {str(one.name).lower(): one.version for one in distributions()}


class _EventHandler(logging.Handler):
    """Makes an event of each record."""

    def __init__(self, client: "Client", made: SentryOptions, *, level: int) -> None:
        super().__init__(level)
        import sentry_sdk

        self._client = client
        self._scope = sentry_sdk.Scope(client=client)
        self._versions = _versions() if made.with_versions else {}
        for name, value in made.tags.items():
            self._scope.set_tag(name, value)
        for name, value in made.extra.items():
            self._scope.set_extra(name, value)

    def emit(self, record: logging.LogRecord) -> None:
        """Send one record."""
        if record.name.startswith(_OWN_LOGGERS):
            return
        try:
            event, hint = self._event(record)
            self._client.capture_event(event, hint=hint, scope=self._scope)
        except Exception:  # noqa: BLE001  # supervisor: logging raises nothing into its callers
            self.handleError(record)

    def finish(self, timeout: float) -> None:
        """Send what waits, in `timeout` seconds, and close; blocks for that time at most."""
        pool = getattr(self._client.transport, "_pool", None)  # sentry-sdk forgets to close its connections
        self._client.close(timeout=timeout)
        if pool is not None:
            pool.clear()
        self.close()

    def _event(self, record: logging.LogRecord) -> tuple[Any, Any]:  # Any: of sentry-sdk
        from sentry_sdk.utils import event_from_exception

        event: Any = {}
        hint: Any = {}
        if record.exc_info and record.exc_info[0] is not None:
            mechanism = {"type": "logging", "handled": True}
            event, hint = event_from_exception(
                record.exc_info, client_options=self._client.options, mechanism=mechanism
            )
        hint["log_record"] = record
        if self._versions:
            event["modules"] = self._versions
        event["level"] = next((name for level, name in _LEVELS if record.levelno >= level), "info")
        event["logger"] = record.name
        event["logentry"] = {"message": str(record.msg), "formatted": record.getMessage(), "params": record.args}
        event["extra"] = {name: value for name, value in vars(record).items() if name not in _PLAIN_FIELDS}
        return event, hint
