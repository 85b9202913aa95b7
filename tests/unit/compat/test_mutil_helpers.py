"""The helpers of mutil under their old names: spellings, reports, words."""

import asyncio
import importlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from mainspring.compat.mutil import _reports
from mainspring.compat.mutil.awsSignatureV4 import SignatureV4, getSignatureKey, sign
from mainspring.compat.mutil.dispatch import DArg, Dispatch, Op
from mainspring.compat.mutil.dualcache import DualCache
from mainspring.compat.mutil.expand import expand_string_curly_braces, expand_string_numeric
from mainspring.compat.mutil.frame import printFrame, setupLogger
from mainspring.compat.mutil.numeric import ROUND, roundnear, roundnear5, roundnear10
from mainspring.compat.mutil.timer import Timer

NAMES = {
    "mutil.timer": "Timer",
    "mutil.frame": "setupLogger printFrame",
    "mutil.numeric": "ROUND roundnear roundnear5 roundnear10 fmtPrice fmtPricePad",
    "mutil.awsSignatureV4": "SignatureV4",
    "mutil.dispatch": "Dispatch Op DArg",
    "mutil.dualcache": "DualCache",
    "mutil.expand": "expand_string_curly_braces",
    "pyutils": "ConfigLoader Notifier AccountCredentialManager",
}


@pytest.fixture
def plain(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    """As if loguru were not installed."""
    monkeypatch.setattr(_reports, "loguru_logger", lambda: None)
    caplog.set_level(1)
    return caplog


@pytest.mark.parametrize("module", NAMES)
def test_names_are_where_they_were(module: str) -> None:
    found = importlib.import_module(f"mainspring.compat.{module}")
    assert [] == [name for name in NAMES[module].split() if not hasattr(found, name)]


def test_prices() -> None:
    assert (Decimal("0.25"), Decimal("0.25"), 0.2) == (
        roundnear(0.05, 0.24), roundnear5(0.24, ROUND.UP), roundnear10(0.24, False),
    )  # fmt: skip
    assert (1, int) == (roundnear(0.25, 1.13, ROUND.NEAR, None), type(roundnear(0.25, 1.13, ROUND.NEAR, None)))


def test_signatures() -> None:
    signer = SignatureV4("id", "secret", "b.s3.us-west-1.amazonaws.com")
    assert {"x-amz-date", "Authorization"} < set(signer.getHeaders("GET", "/a"))
    day = sign(b"AWS4secret", "20240101")
    assert sign(sign(sign(day, "r"), "s"), "aws4_request") == getSignatureKey("secret", "20240101", "r", "s")


def test_braces() -> None:
    assert ["a1", "a2"] == expand_string_curly_braces("a{1..2}")
    assert [["3", "2"], ["x"]] == [expand_string_numeric(part) for part in ("3..2", "x")]


def test_a_timer_and_a_frame_report_their_callers(plain: pytest.LogCaptureFixture) -> None:
    setupLogger()
    with Timer("work", 1) as timer:
        timer.step()
    printFrame([1, 2], "rows", level="INFO")
    printFrame([1, 2], "rows")
    assert ["INFO", "INFO", "INFO", "INFO", "INFO", "INFO", "FRAME"] == [record.levelname for record in plain.records]
    assert ["rows :: Row count: 2", "\n[1, 2]"] == [record.message for record in plain.records[-2:]]
    assert {"test_a_timer_and_a_frame_report_their_callers"} == {record.funcName for record in plain.records}


@pytest.mark.extras
def test_loguru_gets_the_reports_when_it_is_installed(caplog: pytest.LogCaptureFixture) -> None:
    from loguru import logger

    lines: list[str] = []
    number = logger.add(lines.append, format="{level}|{level.no}|{function}|{message}", level=0)
    try:
        setupLogger()
        setupLogger()
        with Timer("{work}"):
            pass
        printFrame([1], "rows")
    finally:
        logger.remove(number)
    where = "test_loguru_gets_the_reports_when_it_is_installed"
    assert lines[0].startswith(f"INFO|20|{where}|[{{work}}] Duration: 0.0")
    assert [f"INFO|20|{where}|rows :: Row count: 1\n", f"FRAME|25|{where}|\n[1]\n"] == lines[1:]


@dataclass
class Add(Op):
    """Add numbers."""

    def argmap(self) -> Sequence[DArg]:
        return [
            DArg("first", convert=int, errmsg="a number"),
            DArg("*rest", convert=lambda words: list(map(int, words))),
        ]

    async def run(self) -> Any:
        return vars(self)["first"] + sum(vars(self)["rest"]) + (self.state or 0)


@pytest.fixture
def commands() -> Dispatch:
    return Dispatch({"add": Add, "adder": Add, "later": None, "more": {"list": Add}})


async def test_commands_run(commands: Dispatch) -> None:
    assert (6, 16) == (await commands.runop("add", "1 2 3"), await commands.runop("li", "1 2 3", 10))
    assert (["add", "adder", "later", "list"], {"more": ["list"]}) == (commands.cmds, commands.cmdsByGroup)
    assert ["add", "adder"] == commands.cmdcompletion["ad"]
    assert {"add", "adde", "adder", "la", "lat", "late", "later", "li", "lis", "list"} == set(commands.totalOps)
    assert {"add": Add, "adder": Add, "later": None, "list": Add} == commands.fullOps


async def test_wrong_lines_are_told_as_before(
    commands: Dispatch, plain: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    for line in ("add", "add x", "ad", "zzz", "later", "add?", "?"):
        command, _, arguments = line.partition(" ")
        assert await commands.runop(command, arguments) is None
    told = [(record.levelname, record.message.splitlines()[0]) for record in plain.records if record.name == "mutil"]
    assert [
        ("ERROR", "Not enough arguments provided! Expected: first *rest"),
        ("ERROR", "[add :: first *rest] Argument validation failed: "),
        ("ERROR", "Argument 1 (first) cannot be 'x': a number"),
        ("ERROR", "[add :: first *rest] Argument validation failed: x"),
        ("ERROR", "Operation exists but has no implementation!"),
        ("INFO", "[add :: first *rest] Command: add <first> [*rest]"),
    ] == told
    out = capsys.readouterr().out
    assert out.startswith("Completion choices: add, adder\nAll commands: add, adder, later, list\n")
    assert "more:\n\t- list\nOther:\n\t- add" in out


def test_arguments_have_their_old_spellings() -> None:
    assert (True, "rest") == (DArg("*rest").isRest(), DArg("*rest").usename())
    with pytest.raises(AssertionError):
        DArg("state")


async def test_a_dual_cache_is_in_memory_and_on_disk(tmp_path: Path) -> None:
    prefix = str(tmp_path / "cache-")
    cache = DualCache("my name", prefix)
    assert tmp_path / "cache-my-name" == cache.path
    cache["a"] = {"x": [1, 2]}
    cache["b"] = 2
    del cache["b"]
    other = DualCache("my name", prefix)
    assert ({"x": [1, 2]}, False, 1, None, 7) == (
        other["a"],
        "b" in other,
        len(other),
        other.get("b"),
        other.get("b", 7),
    )
    cache["c"] = 3
    assert (None, 3, None) == (other.get("c"), other.checkDisk("c"), other.checkDisk("zzz"))
    assert ["a", "c"] == sorted(other) == sorted(other.iterkeys()) == sorted(other.keys())
    assert dict(other.items()) == {"a": {"x": [1, 2]}, "c": 3}
    assert 3 in other.values()
    other.close()
    cache.clear()
    assert 0 == len(cache)
    cache.destroy()
    assert not cache.path.exists()


def test_destroying_a_cache_leaves_what_is_not_its_own(tmp_path: Path) -> None:
    """A cache may share its directory, be it the user's own."""
    cache = DualCache("", str(tmp_path))
    (tmp_path / "letter.txt").write_text("dear")
    cache["a"] = 1
    cache.destroy()
    assert ["letter.txt"] == [path.name for path in tmp_path.iterdir()]


async def test_one_at_a_time_holds_a_key(tmp_path: Path) -> None:
    cache = DualCache("locks", str(tmp_path / "cache-"))
    await cache.lock("a")
    assert [True, False] == [cache.locked(key) for key in "ab"]
    holders: list[int] = []

    async def hold(number: int) -> None:
        await cache.lock("a")
        holders.append(number)
        assert cache.locked("a")
        await asyncio.sleep(0)
        assert number == holders[-1]
        cache.unlock("a")

    tasks = [asyncio.create_task(hold(number)) for number in range(3)]
    cache.unlock("a")
    await asyncio.gather(*tasks)
    assert ([0, 1, 2], False) == (holders, cache.locked("a"))
    cache.destroy()


def test_logging_stays_when_loguru_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "loguru", None)
    assert _reports.loguru_logger() is None
    _reports.make_frame_level()
    assert 25 == logging.getLevelNamesMapping()["FRAME"]
