"""`mainspring run` shows its app over HTTP, with a link that lets one browser in."""

import asyncio
import io
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
from mainspring.cli._run import _stop, make_console, make_web
from mainspring.errors import InvalidArgumentError, MissingExtraError
from mainspring.jobs import JobApp
from mainspring.runtime import bind_socket_file

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


@pytest.mark.parametrize(
    ("store", "code", "said"),
    [
        ("bogus", 2, "error: store='bogus' is not accepted: expected the address of a SQLite file"),
        ("sqlite:////dev/null/state.db", 3, "error: cannot open the store /dev/null/state.db"),
    ],
)
def test_an_app_that_cannot_open_is_not_shown_and_says_so_alone(
    app: str, tmp_path: Path, store: str, code: int, said: str
) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-m", "mainspring", "run", app, "--port", "0", "--store", store]
    ended = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=60, check=False)
    assert (code, "") == (ended.returncode, ended.stdout)
    first, *more = ended.stderr.splitlines()
    assert first.startswith(said)
    assert [] == [line for line in more if not line.startswith("hint: ")]
    assert not (tmp_path / "state" / "console.sock").exists()


def test_the_pace_of_clients_may_be_chosen() -> None:
    app = JobApp("shop", store="memory")
    usual, chosen = (make_web(app, host="127.0.0.1", port=0, max_rate=rate) for rate in (None, 0.5))
    assert usual is not None
    assert chosen is not None
    assert (20.0, 0.5) == (usual.rate, chosen.rate)


def test_the_command_shows_nothing_to_others(app: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert 2 == run_command_line(["run", app, "--host", "0.0.0.0"])
    first, second = capsys.readouterr().err.splitlines()
    assert first.startswith("error: --host='0.0.0.0' is not accepted: expected an address of this machine only")
    assert "in a program of your own" in second
    with pytest.raises(InvalidArgumentError, match="rate="):
        make_web(JobApp("shop", store="memory"), host="127.0.0.1", port=0, max_rate=-1.0)


def test_a_state_directory_that_is_a_file_is_wrong_input(app: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert 2 == run_command_line(["--state", app, "run", app, "--for", "0.1s", "--port", "0", "--no-console"])
    said = capsys.readouterr().err
    assert (
        f"error: state_dir='{app}' is not accepted: expected a directory for the file web-token (Not a directory)"
        in said
    )
    assert "Traceback" not in said


def test_the_usual_port_is_the_first_choice() -> None:
    web = make_web(JobApp("shop", store="memory"), host="127.0.0.1", port=None)
    assert web is not None
    assert 8787 == web.port


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


def test_a_second_signal_ends_at_once_what_the_first_lets_end(
    tmp_path: Path, app: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with Path(app).open("a") as file:
        file.write("import asyncio\n@app.job('hang')\nasync def hang():\n    print('begun', flush=True)\n")
        file.write("    await asyncio.Event().wait()\n")
    assert 0 == run_command_line(["trigger", app, "hang"])
    capsys.readouterr()
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-m", "mainspring", "run", app, "--no-web", "--no-console"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, text=True, env=environment, stdout=pipe, stderr=pipe) as child:
        assert child.stdout is not None
        assert child.stderr is not None
        try:
            assert "begun\n" in {child.stdout.readline(), child.stdout.readline()}  # the other one says what is run
            child.send_signal(signal.SIGINT)
            assert "Ctrl-C again ends at once" in child.stderr.readline()
            child.send_signal(signal.SIGINT)
            assert 130 == child.wait(30)
        finally:
            child.kill()


class Broken(io.StringIO):
    """Has no reader any more."""

    def write(self, _: str) -> int:
        raise BrokenPipeError


def test_a_signal_stops_it_though_nobody_reads_what_it_says(monkeypatch: pytest.MonkeyPatch) -> None:
    stopped = asyncio.Event()
    monkeypatch.setattr(sys, "stderr", Broken())
    _stop(stopped, signal.SIGTERM)
    assert stopped.is_set()


def test_the_operator_says_where_and_what_is_run(app: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = f"sqlite:///{tmp_path}/other.db"
    short = ("--for", "0.1s", "--no-web", "--json")
    assert 0 == run_command_line(["run", app, "--store", store, "--slots", "3", "--queues", "default, cpu", *short])
    assert str(tmp_path / "other.db") == json.loads(capsys.readouterr().out)["store"]
    assert 2 == run_command_line(["run", app, "--queues", "default,,cpu", *short])
    assert "names of queues" in capsys.readouterr().err
    assert not (tmp_path / "state.db").exists()


def test_a_queue_that_is_not_asked_for_is_left_to_others(app: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert 0 == run_command_line(["trigger", app, "greet"])
    capsys.readouterr()
    short = ("--for", "0.3s", "--no-web", "--json")
    assert 0 == run_command_line(["run", app, "--queues", "cpu", *short])
    capsys.readouterr()
    assert 0 == run_command_line(["runs", app, "--json"])
    assert ["available"] == [one["state"] for one in json.loads(capsys.readouterr().out)]


def test_every_command_takes_a_store_and_a_state_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, app: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path(app).write_text(APP.replace(', store=Path(__file__).with_name("state.db")', ""))
    monkeypatch.delenv("MAINSPRING_STATE_DIR")
    other = str(tmp_path / "elsewhere")
    assert 0 == run_command_line(["--state", other, "trigger", app, "greet"])
    assert "MAINSPRING_STATE_DIR" not in os.environ
    assert 0 == run_command_line(["run", app, "--state", other, "--for", "0.1s", "--no-web", "--json"])
    assert f"{other}/mainspring.db" == json.loads(capsys.readouterr().out.splitlines()[-1])["store"]
    assert 0 == run_command_line(["--store", f"sqlite:///{other}/mainspring.db", "runs", app, "--json"])
    assert 1 == len(json.loads(capsys.readouterr().out))


def test_a_console_that_cannot_be_had_is_noted(app: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    state = tmp_path / "state"
    state.mkdir()
    with bind_socket_file(state / "console.sock") as other:
        other.listen()
        assert make_console(JobApp("shop", store="memory")) is None
        assert "so `mainspring console` does not reach this program" in capsys.readouterr().err
        assert 0 == run_command_line(["run", app, "--for", "0.1s", "--no-web", "--json"])
        assert json.loads(capsys.readouterr().out)["console"] is None
        assert 0 == run_command_line(["run", app, "--for", "0.1s", "--no-web", "--no-console"])
        assert "note" not in capsys.readouterr().err
