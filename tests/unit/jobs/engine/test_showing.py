"""What is shown of a run: stars in the place of secrets, and all else as it is."""

from msgspec.structs import replace

from mainspring.base import decode_json, encode_json
from mainspring.jobs import JobApp, RunRecord, RunState
from mainspring.jobs.engine._showing import shown_run
from mainspring.jobs.stores import RunKind

RECORD = RunRecord("run", "job", RunKind.MANUAL, RunState.SUCCEEDED, "default", 0, 1, 1, 0, 1, 1, 0, 0)
CONFIG = {"token": 1234567, "password": "open sesame", "rows": 5}


def shown_value(value: bytes, config: object = CONFIG) -> object:
    record = replace(RECORD, config=encode_json(config), value=value)
    return decode_json(shown_run(record, None, file={}, stored=None).value or b"")


def test_secrets_in_a_value_are_stars_in_any_place() -> None:
    value = {"open sesame": [1234567, 5, 1.5, None, True], "text": "say open sesame", "url": "a://me:pw@host"}
    expected = {"***": ["***", 5, 1.5, None, True], "text": "say ***", "url": "a://me:***@host"}
    assert expected == shown_value(encode_json(value))


def test_a_value_without_secrets_is_the_same_bytes() -> None:
    value = b'{ "rows": 5 }'
    record = replace(RECORD, config=encode_json(CONFIG), value=value)
    told = shown_run(record, None, file={}, stored=None)
    assert (value, b'{"token":"***","password":"***","rows":5}') == (told.value, told.config)


def test_what_was_edited_by_hand_shows_no_secret() -> None:
    assert "***" == shown_value(b"open sesame, no JSON")
    assert "open sesame" not in repr(shown_value(b"[" * 150 + b'"open sesame"' + b"]" * 150))
    record = replace(RECORD, config=b'{"password": "open')
    assert b"{}" == shown_run(record, None, file={}, stored=None).config


def test_a_run_that_was_given_nothing_is_shown_as_it_is() -> None:
    assert JobApp("test", store="memory").shown_run(RECORD) is RECORD
