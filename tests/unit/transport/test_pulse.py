"""Who is silent is asked, who stays silent is given up, who is busy is left alone."""

import asyncio

import pytest

from mainspring.transport._pulse import Pulse


class _Link:
    def __init__(self, heartbeat: float | None, idle_timeout: float | None = None) -> None:
        self.said: list[str] = []
        self.is_deaf = False
        self.unsent = 0
        self.pulse = Pulse(
            heartbeat,
            idle_timeout,
            is_deaf=lambda: self.is_deaf,
            unsent=lambda: self.unsent,
            ask=lambda: self.said.append("ask"),
            lost=self.said.append,
        )
        self.pulse.start()


@pytest.mark.usefixtures("virtual_clock")
async def test_silence_is_asked_about_then_given_up() -> None:
    link = _Link(10.0)
    await asyncio.sleep(19)
    assert [] == link.said
    await asyncio.sleep(2)
    assert ["ask"] == link.said
    await asyncio.sleep(60)
    assert ["ask", "there was no sign of life in 20 s"] == link.said


@pytest.mark.usefixtures("virtual_clock")
async def test_an_answer_is_life() -> None:
    link = _Link(10.0)
    for _ in range(5):
        await asyncio.sleep(21)
        link.pulse.was_heard = True
    assert {"ask"} == set(link.said)
    link.pulse.stop()


@pytest.mark.usefixtures("virtual_clock")
async def test_who_does_not_listen_blames_nobody() -> None:
    link = _Link(10.0, 10.0)
    link.is_deaf = True
    await asyncio.sleep(100)
    assert [] == link.said
    link.pulse.stop()


@pytest.mark.usefixtures("virtual_clock")
async def test_idle_links_are_given_up_and_busy_ones_not() -> None:
    link = _Link(None, 10.0)
    for _ in range(5):
        await asyncio.sleep(9)
        link.pulse.note_record()
    assert [] == link.said
    await asyncio.sleep(11)
    assert ["no record came in 10 s"] == link.said


@pytest.mark.usefixtures("virtual_clock")
async def test_without_limits_nothing_happens() -> None:
    link = _Link(None)
    link.pulse.note_record()
    await asyncio.sleep(1000)
    assert [] == link.said
    link.pulse.stop()


@pytest.mark.usefixtures("virtual_clock")
async def test_who_takes_what_is_sent_is_alive_and_not_idle() -> None:
    link = _Link(10.0, 15.0)
    for unsent in range(20, 0, -1):
        link.unsent = unsent
        await asyncio.sleep(9.9)
    assert "ask" not in link.said[1:]
    assert not [words for words in link.said if "no " in words]
    link.pulse.stop()


@pytest.mark.usefixtures("virtual_clock")
async def test_who_takes_nothing_any_more_is_given_up() -> None:
    for heartbeat, idle_timeout, words in ((10.0, None, "no sign of life"), (None, 10.0, "no record came")):
        link = _Link(heartbeat, idle_timeout)
        link.unsent = 20
        await asyncio.sleep(25)
        link.unsent = 10 if heartbeat is None else 20
        await asyncio.sleep(31)
        assert words in link.said[-1]
