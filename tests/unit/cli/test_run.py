"""`mainspring run` shows its app over HTTP, with a link that lets one browser in."""

import json
import os
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest

pytest.importorskip("typer")
pytest.importorskip("fastapi")

from mainspring.cli import run_command_line
from mainspring.cli._run import make_web
from mainspring.errors import MissingExtraError
from mainspring.jobs import JobApp

pytestmark = pytest.mark.extras

APP = """
from pathlib import Path
from mainspring.jobs import JobApp

app = JobApp("shop", store=Path(__file__).with_name("state.db"), durability="process", poll_interval=0.05)

@app.job("greet")
async def greet():
    return "hello"
"""


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setenv("MAINSPRING_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.delenv("MAINSPRING_WEB_TOKEN", raising=False)
    sys.modules.pop("run_shop", None)
    path = tmp_path / "run_shop.py"
    path.write_text(APP)
    return str(path)


def test_a_running_app_is_seen_by_its_link(app: str) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-m", "mainspring", "run", app, "--port", "0", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as child:
        assert child.stdout is not None
        try:
            link = json.loads(child.stdout.readline())["web"]
            place, _, token = link.partition("/login?token=")
            opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
            with opener.open(link, timeout=30) as answer:
                assert "shop" == json.load(answer)["app"]
            with opener.open(f"{place}/api/v1/jobs", timeout=30) as answer:
                assert ["greet"] == [one["job_id"] for one in json.load(answer)["items"]]
            with pytest.raises(urllib.error.HTTPError, match="401"):
                urllib.request.urlopen(f"{place}/metrics", timeout=30)
            request = urllib.request.Request(f"{place}/metrics", headers={"Authorization": f"Bearer {token}"})
            with urllib.request.urlopen(request, timeout=30) as answer:
                assert b"mainspring_nodes 1.0" in answer.read()
            child.send_signal(signal.SIGTERM)
            assert 0 == child.wait(30)
        finally:
            child.kill()


def test_people_are_told_where_to_look(app: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert 0 == run_command_line(["run", app, "--for", "0.1s", "--port", "0"])
    first, second = capsys.readouterr().out.splitlines()
    assert first.endswith("Ctrl-C ends it")
    assert second.startswith("open http://127.0.0.1:")
    assert second.endswith("the link is a secret")


def test_a_port_that_is_taken_is_wrong_input_if_it_was_asked_for(
    app: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert 0 != run_command_line(["run", app, "--for", "0.1s", "--port", str(port)])
        assert str(port) in capsys.readouterr().err
        monkeypatch.setattr("mainspring.web.DEFAULT_PORT", port)
        assert 0 == run_command_line(["run", app, "--for", "0.1s", "--json"])
        assert f":{port}/" not in json.loads(capsys.readouterr().out)["web"]


def test_the_usual_port_is_taken_when_it_is_free() -> None:
    web = make_web(JobApp("shop", store="memory"), host="127.0.0.1", port=None)
    assert web is not None
    assert web.port in (8787, 0)  # somebody may have it


def test_without_the_extra_the_jobs_run_and_a_note_is_written(
    app: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "fastapi", None)
    assert 0 == run_command_line(["run", app, "--for", "0.1s", "--json"])
    out, err = capsys.readouterr()
    assert json.loads(out)["web"] is None
    assert "note: WebService" in err
    assert "so nothing is shown over HTTP" in err
    with pytest.raises(MissingExtraError):
        make_web(JobApp("shop", store="memory"), host="127.0.0.1", port=1)
