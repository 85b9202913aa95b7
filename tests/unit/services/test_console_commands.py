"""Every program can be asked for its services, numbers, tasks and log levels."""

import asyncio
import logging
from collections.abc import Iterator
from typing import Any  # Any: values of commands

import pytest
from tests.unit.services.support_programs import program

from mainspring.base import Statistic
from mainspring.errors import InvalidArgumentError
from mainspring.runtime import Service
from mainspring.services import Listing
from mainspring.services._console_commands import add_program_commands
from mainspring.tools import Dispatch, DispatchStatus

LOGGER = "tests.console.operated"


class Idle(Service):
    """Runs."""

    async def start(self) -> None: ...


class OperatedStatistic(Statistic):
    """One number."""

    operated: int


@pytest.fixture
def commands() -> Dispatch:
    made = Dispatch()
    add_program_commands(made)
    return made


@pytest.fixture(autouse=True)
def level() -> Iterator[None]:
    yield
    logging.getLogger(LOGGER).setLevel(logging.NOTSET)


async def value_of(commands: Dispatch, line: str) -> Any:
    result = await commands.run_line(line)
    assert DispatchStatus.DONE is result.status, result.text
    return result.value


async def test_services_are_those_of_the_program(commands: Dispatch) -> None:
    async with program(Idle()):
        listing: Listing = await value_of(commands, "services")
    assert [("Idle", "running", True)] == [(one["name"], one["state"], one["ready"]) for one in listing.rows]
    assert set(listing.columns) <= set(listing.rows[0])


async def test_numbers_are_found_by_the_beginning_of_their_class(commands: Dispatch) -> None:
    statistic = OperatedStatistic("console")
    statistic.operated += 3
    listing: Listing = await value_of(commands, "stat operated")
    expected = {"kind": "OperatedStatistic", "name": "console", "metric": "operated", "value": 3}
    assert expected in listing.rows
    assert [] == list((await value_of(commands, "stat Nothing-Like-It")).rows)


async def test_tasks_say_where_they_wait(commands: Dispatch) -> None:
    never = asyncio.Event()
    task = asyncio.create_task(never.wait(), name="the-waiting-one")
    ended = asyncio.get_running_loop().create_future()
    ended.set_result(None)
    await ended
    row = next(one for one in (await value_of(commands, "tasks")).rows if one["task"] == "the-waiting-one")
    assert "Event.wait" == row["what"]
    never.set()
    await task


async def test_log_levels_are_shown_and_changed(commands: Dispatch) -> None:
    assert {"logger": LOGGER, "level": "error"} == await value_of(commands, f"log-level error {LOGGER}")
    assert logging.ERROR == logging.getLogger(LOGGER).level
    assert {"logger", "level"} == set(await value_of(commands, "log-level"))
    with pytest.raises(InvalidArgumentError, match="loud"):
        await commands.run_line(f"log-level loud {LOGGER}")


async def test_help_is_of_one_command_or_of_all(commands: Dispatch) -> None:
    assert "- log-level" in await value_of(commands, "help")
    assert "Show what is logged" in await value_of(commands, "help log")
    assert "Commands: help" in await value_of(commands, "help nothing")
    assert "Commands: services, statistics" == await value_of(commands, "help s")


async def test_what_the_program_calls_by_these_names_stays() -> None:
    commands = Dispatch()

    @commands.command()
    def help() -> str:
        """Mine."""
        return "mine"

    add_program_commands(commands)
    add_program_commands(commands)
    assert "mine" == await value_of(commands, "help")
