"""Importing any module of mainspring loads modules and does nothing else."""

import importlib.util
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.meta.support_tree import ROOT, SRC, plant, read_modules

PROBE = ROOT / "tests" / "meta" / "support_import_probe.py"
TOO_HEAVY = ("msgspec", "zoneinfo", "sqlite3", "ssl", "logging.handlers", "importlib.metadata")
# What an app needs when it is open; its declaration is part of every start, also of a command that only looks.
NEEDED_WHEN_OPEN = (
    "sqlite3", "multiprocessing", "pathlib", "tomllib", "zoneinfo",
    "mainspring.concurrency._worker_pool", "mainspring.jobs.engine._parts",
    "mainspring.jobs.stores._sqlite", "mainspring.jobs.stores._memory", "mainspring.runtime._entrypoint",
    "mainspring.sinks._set",
)  # fmt: skip
# Rooms that are written around a third party and need it at import; without it they are left out.
NEEDED_AT_IMPORT = {"cli": "typer", "demo": "aiohttp", "web": "fastapi"}


@dataclass(frozen=True, slots=True)
class Imported:
    """What a child saw while it imported."""

    events: list[str]
    modules: list[str]


def import_in_child(src: Path, *names: str) -> Imported:
    """Import the modules in a fresh interpreter that is watched."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("COV", "PYTHON"))}
    command = [sys.executable, "-I", str(PROBE), str(src), *names]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=50, check=False)
    assert done.returncode == 0, done.stderr
    return Imported(**json.loads(done.stdout))


def importable() -> list[str]:
    """Return the names of all modules whose third party is here."""
    return [
        module.name
        for module in read_modules()
        if module.room not in NEEDED_AT_IMPORT or importlib.util.find_spec(NEEDED_AT_IMPORT[module.room])
    ]


def test_no_module_touches_the_world_when_imported() -> None:
    assert [] == import_in_child(SRC, *importable()).events


def test_the_package_alone_loads_nothing_heavy() -> None:
    assert [] == [name for name in TOO_HEAVY if name in import_in_child(SRC, "mainspring").modules]


def test_declaring_jobs_loads_no_store_sink_worker_or_program() -> None:
    loaded = import_in_child(SRC, "mainspring.jobs.engine._app").modules
    assert [] == [name for name in NEEDED_WHEN_OPEN if name in loaded]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('import os; os.environ.get("HOME")', "os.environ read HOME"),
        ('import os; os.getenv("HOME")', "os.environ read HOME"),
        ('import os; "A" in os.environ', "os.environ read A"),
        ('open("/dev/null").close()', "open"),
        ("import threading; threading.Thread(target=threading.Event().wait, daemon=True).start()", "thread"),
        ("import socket; socket.socket().close()", "socket"),
        ("import logging; logging.basicConfig()", "logging was configured"),
        ("import signal; signal.signal(signal.SIGUSR1, signal.SIG_IGN)", "replaced"),
    ],
)
def test_the_probe_sees_what_an_import_does(tmp_path: Path, line: str, said: str) -> None:
    plant(tmp_path, {"__init__.py": f"{line}\n"})
    assert said in "\n".join(import_in_child(tmp_path, "mainspring").events)
