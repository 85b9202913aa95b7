"""The token: made once, readable by its owner only, never shown by accident."""

import threading
from pathlib import Path

import pytest

pytest.importorskip("fastapi")

from mainspring.errors import InvalidArgumentError, UnsafeFileError
from mainspring.web._token import VARIABLE, WebToken, load_token

pytestmark = pytest.mark.extras


@pytest.fixture(autouse=True)
def no_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)


def test_a_token_is_made_at_the_first_start_and_stays(tmp_path: Path) -> None:
    folder = tmp_path / "state" / "web"
    token = load_token(folder)
    assert token.secret == load_token(folder).secret
    (file,) = folder.iterdir()
    assert [0o700, 0o700, 0o600] == [path.stat().st_mode & 0o777 for path in (folder.parent, folder, file)]
    assert len(token.secret) >= 43
    assert token.secret != load_token(tmp_path / "other").secret


def test_processes_that_start_at_once_agree(tmp_path: Path) -> None:
    found: list[str] = []
    ready = threading.Barrier(8)

    def start() -> None:
        ready.wait()
        found.append(load_token(tmp_path).secret)

    threads = [threading.Thread(target=start) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (8, 1, 1) == (len(found), len(set(found)), len(list(tmp_path.iterdir())))


def test_a_file_that_others_may_read_is_refused(tmp_path: Path) -> None:
    load_token(tmp_path)
    file = tmp_path / "web-token"
    file.chmod(0o640)
    with pytest.raises(UnsafeFileError, match="mode 640") as caught:
        load_token(tmp_path)
    assert "chmod 600" in str(caught.value.hint)
    file.chmod(0o600)
    file.rename(tmp_path / "elsewhere")
    file.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(InvalidArgumentError, match=r"web-token \(Too many levels of symbolic links\)"):
        load_token(tmp_path)


def test_the_environment_goes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "0123456789abcdef")
    assert "0123456789abcdef" == load_token(tmp_path).secret
    assert [] == list(tmp_path.iterdir())
    for wrong in ("short", "with a blank in it", "línea de veinte signos"):
        monkeypatch.setenv(VARIABLE, wrong)
        with pytest.raises(InvalidArgumentError) as caught:
            load_token(tmp_path)
        assert wrong not in str(caught.value)


def test_only_the_token_opens_and_its_cookie_does_not_tell_it() -> None:
    token, other = WebToken("0123456789abcdef"), WebToken("0123456789abcdeF")
    assert token.opens("0123456789abcdef")
    assert not token.opens(other.secret)
    assert not token.opens("ü")
    assert token.opens_by_cookie(token.cookie)
    assert not token.opens_by_cookie(other.cookie)
    assert not token.opens_by_cookie("")
    assert token.secret not in token.cookie
    assert "0123" not in repr(token)
