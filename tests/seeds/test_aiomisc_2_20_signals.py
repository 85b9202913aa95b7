"""Chapters 2.20, 2.21 and 2.22 of the aiomisc seed, through compat: receivers, a plugin, statistics."""

import os
import subprocess
import sys
from pathlib import Path
from threading import Event

import pytest

from mainspring.compat import aiomisc
from mainspring.compat.aiomisc import entrypoint, receiver


def test_2_20_receivers_of_all_signals() -> None:
    seen: list[tuple[str, int]] = []

    @receiver(entrypoint.PRE_START)
    async def prepare_database(entrypoint, services):
        seen.append(("pre_start", len(services)))

    @receiver(entrypoint.POST_START)
    async def startup_notifier(entrypoint, services):
        seen.append(("post_start", len(services)))

    @receiver(entrypoint.PRE_STOP)
    async def shutdown_notifier(entrypoint):
        seen.append(("pre_stop", len(entrypoint.services)))

    @receiver(entrypoint.POST_STOP)
    async def cleanup(entrypoint):
        seen.append(("post_stop", len(entrypoint.services)))

    try:
        with entrypoint() as loop:
            loop.call_soon(loop.stop)
            loop.run_forever()
    finally:
        entrypoint.PRE_START.disconnect(prepare_database)
        entrypoint.POST_START.disconnect(startup_notifier)
        entrypoint.PRE_STOP.disconnect(shutdown_notifier)
        entrypoint.POST_STOP.disconnect(cleanup)
    assert seen == [("pre_start", 0), ("post_start", 0), ("pre_stop", 0), ("post_stop", 0)]


def test_2_21_a_plugin(capsys: pytest.CaptureFixture[str]) -> None:
    event = Event()

    async def hello(*, entrypoint: aiomisc.Entrypoint, services: tuple[aiomisc.Service, ...]) -> None:
        print("Hello from aiomisc plugin")
        event.set()

    def setup() -> None:
        aiomisc.Entrypoint.PRE_START.connect(hello)

    setup()
    assert not event.is_set()
    with aiomisc.entrypoint():
        pass
    assert event.is_set()
    aiomisc.entrypoint.PRE_START.disconnect(hello)
    assert capsys.readouterr().out == "Hello from aiomisc plugin\n"


PLUGIN = """
from threading import Event
import aiomisc

event = Event()
__doc__ = "Example plugin"

async def hello(*, entrypoint, services):
    print("Hello from aiomisc plugin")

def setup():
    aiomisc.Entrypoint.PRE_START.connect(hello)
"""


def test_2_21_1_an_installed_plugin_is_listed_and_set_up(tmp_path: Path) -> None:
    info = tmp_path / "myplugin-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: myplugin\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[aiomisc]\nmyplugin = aiomisc_myplugin.plugin\n")
    (tmp_path / "aiomisc_myplugin").mkdir()
    (tmp_path / "aiomisc_myplugin" / "__init__.py").write_text("")
    (tmp_path / "aiomisc_myplugin" / "plugin.py").write_text(PLUGIN)
    (tmp_path / "program.py").write_text("import aiomisc\nwith aiomisc.entrypoint(log_format='plain'): print('body')\n")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), *filter(None, sys.path)])}

    def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, "-m", "mainspring.compat", *arguments]
        return subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60, check=True
        )

    listed = run("-m", "aiomisc.plugins", "-F", "plain")
    assert listed.stdout == "myplugin\n"
    assert listed.stderr == "Available 1 plugins.\n'myplugin' - Example plugin\n"
    assert run("-m", "aiomisc.plugins", "-n").stdout == ""
    assert run("-m", "aiomisc.plugins", "-s").stderr == ""
    ran = run("program.py")
    assert ran.stdout == "Hello from aiomisc plugin\nbody\n"
    assert "plugin 'myplugin' of myplugin 1.0 is set up" in ran.stderr


def test_2_22_statistics(capsys: pytest.CaptureFixture[str]) -> None:
    async def main():
        for metric in aiomisc.get_statistics():
            print(str(metric.kind.__name__), metric.name, metric.metric, metric.value)

    with aiomisc.entrypoint() as loop:
        loop.run_until_complete(main())

    lines = {line.rpartition(" ")[0] for line in capsys.readouterr().out.splitlines()}
    for kind, metrics in (
        ("ContextStatistic None", "get set"),
        ("ThreadPoolStatistic default", "submitted sum_time threads done success error"),
    ):
        assert {f"{kind} {metric}" for metric in metrics.split()} <= lines
