"""A door imports a file at the first use of one of its names, and refuses names it does not know."""

import subprocess
import sys
from types import ModuleType

import pytest

from mainspring.base import door


@pytest.fixture
def room(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """A package of its own whose door offers a name of json publicly and one of json.decoder to the house."""
    room = ModuleType("room_with_a_door")
    monkeypatch.setitem(sys.modules, room.__name__, room)
    names = door(room.__name__, {"json.encoder": ("JSONEncoder",)}, house={"json.decoder": ("JSONDecoder",)})
    vars(room).update(zip(("__getattr__", "__dir__", "__all__"), names, strict=True))
    return room


def test_names_come_from_their_files_and_stay(room: ModuleType) -> None:
    import json.decoder
    import json.encoder

    assert json.encoder.JSONEncoder is room.JSONEncoder
    assert json.decoder.JSONDecoder is room.JSONDecoder
    assert "JSONEncoder" in vars(room)


def test_house_names_are_listed_apart(room: ModuleType) -> None:
    assert ["JSONEncoder"] == vars(room)["__all__"]
    assert ("JSONDecoder",) == room.__house__
    assert "JSONEncoder" in dir(room)
    assert "JSONDecoder" not in dir(room)


def test_an_unknown_name_is_an_attribute_error(room: ModuleType) -> None:
    with pytest.raises(AttributeError, match="module 'room_with_a_door' has no attribute 'JSONEncodr'"):
        _ = room.JSONEncodr


def test_importing_mainspring_opens_no_room_but_base() -> None:
    code = "import sys, mainspring; print(sorted(m for m in sys.modules if m.count('.') == 1 and 'mainspring' in m))"
    out = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert "['mainspring.base']" == out.strip()
