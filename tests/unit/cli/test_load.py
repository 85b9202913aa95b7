"""The app that a command names is found, or the sentence says why not."""

import os
import sys
from pathlib import Path

import pytest

from mainspring.cli._load import asked_places, load_app
from mainspring.errors import InvalidArgumentError, JobDefinitionError
from mainspring.jobs import JobApp

ONE = "from mainspring.jobs import JobApp\n{} = JobApp({!r})\n"


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr("mainspring.cli._load.job_runner", JobApp("default"))
    monkeypatch.chdir(tmp_path)
    for name in ("a_module_shop", "same_shop", "two"):
        sys.modules.pop(name, None)


def write(path: Path, *names: str) -> str:
    path.write_text("".join(ONE.format(name, name) for name in names))
    return str(path)


def test_a_file_gives_its_only_app(tmp_path: Path) -> None:
    assert "shop" == load_app(write(tmp_path / "some_shop.py", "shop")).label


def test_dots_in_the_name_of_a_file_do_no_harm_where_no_worker_imports_it(tmp_path: Path) -> None:
    path = tmp_path / "my.shop.py"
    path.write_text(ONE.format("shop", "shop") + "@shop.job('here')\ndef here() -> None: ...\n")
    assert ["here"] == list(load_app(str(path)).jobs)


def test_app_is_the_first_choice(tmp_path: Path) -> None:
    assert "app" == load_app(write(tmp_path / "some_shops.py", "shop", "app")).label


def test_an_attribute_chooses_one(tmp_path: Path) -> None:
    assert "b" == load_app(write(tmp_path / "two_shops.py", "a", "b") + ":b").label


def test_the_same_file_is_loaded_once(tmp_path: Path) -> None:
    name = write(tmp_path / "same_shop.py", "shop")
    assert load_app(name) is load_app(name)


def test_a_module_is_found_in_the_working_directory(tmp_path: Path) -> None:
    write(tmp_path / "a_module_shop.py", "shop")
    assert "shop" == load_app("a_module_shop").label
    assert "shop" == load_app("a_module_shop:shop").label


def test_several_names_of_one_app_are_one_app(tmp_path: Path) -> None:
    path = tmp_path / "alias_shop.py"
    path.write_text(ONE.format("shop", "shop") + "store = shop\n")
    assert "shop" == load_app(str(path)).label


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("missing.py", "there is no file missing.py"),
        ("no_such_module", "there is no module 'no_such_module'"),
        ("no_such.package", "there is no module 'no_such.package'"),
        ("two.py", "one of a, b"),
        ("two.py:c", "to be a JobApp"),
        ("empty.py", "name it `app`"),
        ("folder", "folder is a directory"),
        ("", "there is no file ."),
        ("text.txt", "a file as app.py"),
        ("mainspring.py", "would hide the library"),
        ("my.workers.py", "expected a file without further dots in its name, by which worker processes import it"),
    ],
)
def test_what_cannot_be_an_app_is_said(tmp_path: Path, name: str, said: str) -> None:
    write(tmp_path / "two.py", "a", "b")
    write(tmp_path / "empty.py")
    write(tmp_path / "mainspring.py", "a")
    (tmp_path / "my.workers.py").write_text(
        ONE.format("a", "a") + "@a.job('far', executor='process')\ndef far() -> None: ...\n"
    )
    (tmp_path / "folder").mkdir()
    (tmp_path / "text.txt").write_text("app")
    with pytest.raises(InvalidArgumentError) as raised:
        load_app(name)
    assert said in f"{raised.value} {raised.value.hint}"


def test_a_file_that_fails_leaves_no_module(tmp_path: Path) -> None:
    path = tmp_path / "failing_shop.py"
    path.write_text("1 / 0\n")
    with pytest.raises(InvalidArgumentError):
        load_app(str(path))
    assert "failing_shop" not in sys.modules


def test_jobs_without_an_app_belong_to_the_default_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    default = JobApp("default")
    default.job("nothing")(lambda: None)
    monkeypatch.setattr("mainspring.cli._load.job_runner", default)
    assert default is load_app(write(tmp_path / "default_shop.py"))


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("x = 1\n\nx / 0\n", "wrong_shop.py:3: ZeroDivisionError: division by zero"),
        ("x = 1\ndef (\n", "wrong_shop.py:2: SyntaxError: invalid syntax"),
        ("import no_such_library\n", "wrong_shop.py:1: ModuleNotFoundError: No module named 'no_such_library'"),
    ],
)
def test_a_file_whose_code_raises_is_named_with_its_line(tmp_path: Path, code: str, said: str) -> None:
    (tmp_path / "wrong_shop.py").write_text(code)
    with pytest.raises(InvalidArgumentError, match="module that can be imported") as caught:
        load_app("wrong_shop.py")
    assert said in str(caught.value)


def test_a_wrong_definition_keeps_its_own_sentence(tmp_path: Path) -> None:
    (tmp_path / "wrong_job.py").write_text(ONE.format("app", "app") + "app.job('a', cron='bad')(print)\n")
    with pytest.raises(JobDefinitionError):
        load_app("wrong_job.py")


def test_a_state_directory_stays_where_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Programs find it from other working directories, too."""
    monkeypatch.delenv("MAINSPRING_STATE_DIR", raising=False)
    with asked_places(store=None, state=Path("here")):
        assert str(tmp_path / "here") == os.environ["MAINSPRING_STATE_DIR"]
    assert "MAINSPRING_STATE_DIR" not in os.environ
