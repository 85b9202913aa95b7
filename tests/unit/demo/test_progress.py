"""What the demo shows while it works."""

import io

import pytest

pytest.importorskip("rich")

from rich.console import Console

from mainspring.demo._progress import Bars, Lines, make_display
from mainspring.jobs import BackfillProgress, BackfillState
from mainspring.testing import VirtualClock

pytestmark = pytest.mark.extras
PROGRESS = BackfillProgress(
    backfill_id="1",
    job_id="load_flights",
    state=BackfillState.RUNNING,
    total=48,
    exact=True,
    succeeded=12,
    failed=0,
    cancelled=0,
    running=1,
    rate=10.0,
    eta=3.6,
)


def test_a_terminal_gets_bars() -> None:
    text = io.StringIO()
    display = make_display(Console(file=text, force_terminal=True, width=100))
    assert isinstance(display, Bars)
    display.show({"load_flights": PROGRESS})
    display.show({"load_flights": PROGRESS})
    display.close()
    assert "12/48" in text.getvalue()


async def test_anything_else_gets_a_line_now_and_then(virtual_clock: VirtualClock) -> None:
    text = io.StringIO()
    display = make_display(Console(file=text, width=100))
    assert isinstance(display, Lines)
    display.show({"load_flights": PROGRESS})
    await virtual_clock.advance(6.0)
    display.show({"load_flights": PROGRESS})
    display.show({"load_flights": PROGRESS})
    display.close()
    assert "load_flights 12/48\n" == text.getvalue()
