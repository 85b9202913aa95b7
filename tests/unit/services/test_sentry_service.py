"""Records become events of a Sentry over real sockets, with what they were logged with, and no others do."""

import logging
import sys
from collections.abc import AsyncGenerator
from typing import Any

import pytest
from tests.unit.services.support_programs import program
from tests.unit.services.support_sentry import SentryStub

from mainspring.errors import InvalidArgumentError, MissingExtraError
from mainspring.services import RavenSender, SentrySender

pytestmark = pytest.mark.extras

log = logging.getLogger("app")


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SENTRY_NAME", "SENTRY_ENVIRONMENT", "SENTRY_RELEASE", "SENTRY_DSN"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
async def sentry() -> AsyncGenerator[SentryStub]:
    """A Sentry that listens."""
    stub = SentryStub()
    async with program(stub):
        yield stub


def fail(secret: str) -> None:
    password = secret
    number = 42
    raise ZeroDivisionError(f"{number} {len(password)}")


async def test_an_exception_arrives_with_its_variables_but_no_passwords(sentry: SentryStub) -> None:
    before = list(logging.getLogger().handlers)
    async with program(SentrySender(sentry_dsn=sentry.dsn, tags={"place": "here"}, extra={"shift": "night"})):
        try:
            fail("tell nobody")
        except ZeroDivisionError:
            log.exception("it failed in %s", "Oslo", extra={"city": "Oslo"})
    assert before == logging.getLogger().handlers
    (event,) = sentry.events
    assert "/api/42/envelope/" == sentry.paths[0]
    (error,) = event["exception"]["values"]
    assert ("ZeroDivisionError", "error", "app") == (error["type"], event["level"], event["logger"])
    assert "it failed in Oslo" == event["logentry"]["formatted"]
    frame = error["stacktrace"]["frames"][-1]
    assert ("fail", "42", "[Filtered]") == (frame["function"], frame["vars"]["number"], frame["vars"]["password"])
    assert ("here", "night", "Oslo") == (event["tags"]["place"], event["extra"]["shift"], event["extra"]["city"])
    assert pytest.__version__ == event["modules"]["pytest"]


async def test_levels_have_their_names(sentry: SentryStub) -> None:
    levels = [25, logging.WARNING, logging.ERROR, logging.CRITICAL, logging.CRITICAL + 5]
    log.setLevel(25)
    async with program(SentrySender(sentry_dsn=sentry.dsn, min_level=25)):
        for level in levels:
            log.log(level, "%d", level)
    log.setLevel(logging.NOTSET)
    names = {one["logentry"]["formatted"]: one["level"] for one in sentry.events}
    assert ["info", "warning", "error", "fatal", "fatal"] == [names[str(level)] for level in levels]


async def test_what_is_lower_filtered_or_its_own_is_not_sent(sentry: SentryStub) -> None:
    def only_app(record: logging.LogRecord) -> bool:
        return record.name == "app"

    filtering = logging.Filter()
    filtering.filter = only_app  # type: ignore[method-assign]  # a filter of the test
    async with program(SentrySender(sentry_dsn=sentry.dsn, min_level="error", filters=[filtering])):
        log.warning("lower")
        logging.getLogger("other").error("filtered")
        logging.getLogger("urllib3.connectionpool").error("its own")
        log.error("sent")
    assert ["sent"] == [one["logentry"]["formatted"] for one in sentry.events]


async def test_a_record_that_cannot_be_read_hurts_nobody(
    sentry: SentryStub, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with program(SentrySender(sentry_dsn=sentry.dsn)):
        handler = logging.getLogger().handlers[-1]
        handler.handle(logging.makeLogRecord({"msg": "%d", "args": ("x",), "levelno": logging.ERROR, "name": "app"}))
    assert [] == sentry.events
    assert "--- Logging error ---" in capsys.readouterr().err


@pytest.mark.parametrize("given", [False, True])
async def test_variables_are_the_defaults(sentry: SentryStub, monkeypatch: pytest.MonkeyPatch, given: bool) -> None:
    monkeypatch.setenv("SENTRY_NAME", "machine")
    monkeypatch.setenv("SENTRY_ENVIRONMENT", "staging")
    monkeypatch.setenv("SENTRY_RELEASE", "1.0")
    options = {"name": "other", "environment": "production", "release": "2.0"} if given else {}
    async with program(RavenSender(sentry_dsn=sentry.dsn, client_options=options)):
        log.error("x")
    (event,) = sentry.events
    expected = ("other", "production", "2.0") if given else ("machine", "staging", "1.0")
    assert expected == (event["server_name"], event["environment"], event["release"])


async def test_options_of_raven_mean_what_they_meant(sentry: SentryStub, caplog: pytest.LogCaptureFixture) -> None:
    options: dict[str, Any] = {
        "include_versions": False,
        "capture_locals": False,
        "auto_log_stacks": True,
        "sanitize_keys": ["pin"],
        "context": {"sys.argv": sys.argv[:1], "pin": 1234},
        "tags": {"a": "b"},
        "site": "north",
        "ignore_exceptions": [KeyError],
        "list_max_length": 3,
        "processors": (),
    }
    async with program(RavenSender(sentry_dsn=sentry.dsn, client_options=options, tags={"c": "d"})):
        for error in (KeyError("ignored"), ValueError("sent")):
            try:
                raise error
            except (KeyError, ValueError):
                log.exception("x")
        log.error("with a stack")
    first, second = sentry.events
    assert "vars" not in first["exception"]["values"][0]["stacktrace"]["frames"][-1]
    assert "stacktrace" in second["threads"]["values"][0]
    assert {"a": "b", "c": "d", "site": "north"} == first["tags"]
    assert (sys.argv[:1], "[Filtered]") == (first["extra"]["sys.argv"], first["extra"]["pin"])
    assert not first.get("modules")
    assert ["list_max_length" in caplog.text, "processors" in caplog.text] == [True, True]


async def test_a_sentry_that_is_gone_does_not_delay_the_stop() -> None:
    async with program(SentrySender(sentry_dsn="http://public@127.0.0.1:9/42", close_timeout=0.1)):
        log.error("lost")


def test_unknown_options_are_refused_at_once() -> None:
    with pytest.raises(InvalidArgumentError, match="client_options"):
        RavenSender(sentry_dsn="http://public@127.0.0.1/1", client_options={"colour": "red"})
    with pytest.raises(AttributeError, match="sentry_dsn"):
        RavenSender()


async def test_without_the_extra_the_start_says_which(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sentry_sdk", None)
    with pytest.raises(MissingExtraError, match="sending to Sentry needs the module 'sentry_sdk'"):
        async with program(SentrySender(sentry_dsn="http://public@127.0.0.1/1")):
            raise NotImplementedError
