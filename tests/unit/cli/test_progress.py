"""What a backfill shows while it runs."""

import io
from dataclasses import replace

import pytest

pytest.importorskip("rich")

from rich.console import Console

from mainspring.cli._progress import Bar, Lines, make_meter
from mainspring.jobs import BackfillProgress, BackfillState
from mainspring.testing import VirtualClock

pytestmark = pytest.mark.extras
PROGRESS = BackfillProgress(
    backfill_id="1",
    job_id="hourly",
    state=BackfillState.RUNNING,
    total=48,
    exact=False,
    succeeded=11,
    failed=1,
    cancelled=0,
    running=1,
    rate=10.0,
    eta=3.6,
)


def test_a_terminal_gets_a_bar() -> None:
    text = io.StringIO()
    meter = make_meter(Console(file=text, force_terminal=True, width=100))
    assert isinstance(meter, Bar)
    meter.show(replace(PROGRESS, job_id="hourly[/x]"))
    meter.close()
    assert "12/48" in text.getvalue()
    assert "hourly[/x]" in text.getvalue()


async def test_anything_else_gets_a_line_now_and_then(virtual_clock: VirtualClock) -> None:
    text = io.StringIO()
    meter = make_meter(Console(file=text, width=100))
    assert isinstance(meter, Lines)
    meter.show(PROGRESS)
    await virtual_clock.advance(6.0)
    meter.show(PROGRESS)
    meter.show(PROGRESS)
    meter.close()
    assert "hourly 12/~48, 10/s\n" == text.getvalue()
