"""Runs as they may be shown to whoever looks at them from outside: the secrets of their configs are stars.

The store keeps what callers and handlers gave, for those that go on with it.
"""

from collections.abc import Collection, Mapping
from typing import Any, Final  # Any: configs and values hold any JSON

from msgspec.structs import replace

from mainspring.base import decode_json, encode_json
from mainspring.errors import DecodeError
from mainspring.jobs.engine._definition import JobDefinition
from mainspring.jobs.model import ConfigVersion, effective_config, shown
from mainspring.jobs.stores import RunRecord
from mainspring.tools import MASK, is_list, is_secret, is_table, secret_texts, without_secrets

_DEEPEST: Final = 100  # tables inside of each other in a value that are shown when there is a secret in it


def shown_run(
    record: RunRecord,
    definition: JobDefinition | None,
    *,
    file: Mapping[str, Any],  # Any: as above
    stored: ConfigVersion | None,
) -> RunRecord:
    """Return a run whose call shows no secrets that it configured, and whose value none of its whole config.

    Args:
        definition: its job; None for one that is not known here: then the names alone tell what is secret.
        file: what the settings say of the job.
        stored: the version of its stored config that it used.
    """
    call = _call_of(record)
    declared = None if definition is None else definition.config
    config = effective_config(declared=declared, file=file, stored=stored, call=call)
    secrets = secret_texts(config, is_secret if definition is None else definition.hides)
    schema = None if definition is None else definition.schema
    told = None if record.config is None else encode_json(shown(call, schema))
    return replace(record, config=told, value=_shown_value(record.value, secrets))


def _call_of(record: RunRecord) -> dict[str, Any]:  # Any: as above
    try:
        return {} if record.config is None else decode_json(record.config, dict[str, Any])  # Any: as above
    except DecodeError:  # somebody edited it by hand
        return {}


def _shown_value(data: bytes | None, secrets: Collection[str]) -> bytes | None:
    if data is None:
        return None
    text = data.decode("utf-8", "replace")
    if without_secrets(text, secrets) == text:
        return data
    try:
        return encode_json(_starred(decode_json(data), secrets))
    except DecodeError:  # somebody edited it by hand
        return encode_json(MASK)


def _starred(value: Any, secrets: Collection[str], depth: int = 0) -> Any:  # Any: as above
    if depth > _DEEPEST:
        return MASK
    if is_table(value):
        return {without_secrets(key, secrets): _starred(one, secrets, depth + 1) for key, one in value.items()}
    if is_list(value):
        return [_starred(one, secrets, depth + 1) for one in value]
    if value is None or isinstance(value, bool):
        return value
    text = str(value)
    hidden = without_secrets(text, secrets)
    return value if hidden == text else hidden
