"""The type of a job's config: a msgspec Struct, a dataclass or a pydantic model; and which of its fields are secret."""

import dataclasses
import typing
from collections.abc import Iterator, Mapping
from typing import Any, Final, Protocol, TypeGuard  # Any: a config holds plain JSON, types are handled as values

import msgspec

from mainspring.errors import ConfigError, InvalidArgumentError
from mainspring.tools import MASK, is_secret, masked

SECRET: Final = msgspec.Meta(extra={"secret": True})
"""Marks a field of a config whose value is not to be shown: `token: Annotated[str, SECRET]`."""

_SECRET_KINDS: Final = frozenset({"SecretStr", "SecretBytes"})  # of pydantic


class _Model(Protocol):
    """What a pydantic model class offers; known by its form, so that the library is not imported for it."""

    def model_validate(self, obj: object) -> object: ...


class ConfigSchema:
    """Validates a job's effective config.

    Args:
        kind: the type; its fields may be marked with `SECRET`.

    Raises:
        InvalidArgumentError: `kind` is none of the three.
    """

    __slots__ = ("_secrets", "kind")

    def __init__(self, kind: type[Any]) -> None:  # Any: a type of a kind that no annotation can name
        if not _is_record(kind):
            raise InvalidArgumentError(
                argument="schema", value=kind, expected="a msgspec Struct, a dataclass or a pydantic model"
            )
        self.kind = kind
        self._secrets: frozenset[str] | None = None

    @property
    def secrets(self) -> frozenset[str]:
        """The dotted keys of fields that are marked secret."""
        if self._secrets is None:
            self._secrets = frozenset(_secret_keys(self.kind))
        return self._secrets

    def check(self, values: Mapping[str, Any], *, source: str) -> object:  # Any: as above
        """Return the instance that the values make.

        Raises:
            ConfigError: a value does not fit its field, or one is missing; says at which place of `source`.
        """
        model: object = self.kind
        if _is_model(model):
            return self._check_model(model, values, source)
        try:
            return msgspec.convert(dict(values), self.kind, strict=False)
        except msgspec.ValidationError as error:
            reason, _, place = str(error).partition(" - at `$.")
            raise self._misfit(source, place.removesuffix("`").split("[")[0], reason) from None

    def _check_model(self, kind: _Model, values: Mapping[str, Any], source: str) -> object:  # Any: as above
        try:
            return kind.model_validate(dict(values))
        except ValueError as error:
            first = next(iter(_model_errors(error)), {"loc": (), "msg": "it does not fit"})
            key = ".".join(str(part) for part in first["loc"])
            raise self._misfit(source, key, str(first["msg"])) from None  # the first error quotes the values

    def _misfit(self, source: str, key: str, reason: str) -> ConfigError:
        if self.hides(key):
            reason = "its value does not fit"
        return ConfigError(source=source, key=key, reason=f"{reason[:1].lower()}{reason[1:]}")

    def hides(self, key: str) -> bool:
        """Tell whether the value at a dotted key is not to be shown: by the mark, or by its name."""
        return _is_under(key, self.secrets) or any(is_secret(part) for part in key.split("."))

    def __repr__(self) -> str:
        return f"ConfigSchema({self.kind.__name__})"


def shown(values: Mapping[str, Any], schema: ConfigSchema | None = None, *, above: str = "") -> dict[str, Any]:
    """Return a config as it may be shown: what is secret, by its name or its mark, as stars."""
    result: dict[str, Any] = {}  # Any: as above
    for key, value in values.items():
        path = f"{above}{key}"
        if schema is not None and _is_under(path, schema.secrets):
            result[key] = MASK
        elif _is_table(value) and not is_secret(str(key)):  # the code may declare tables with keys of any type
            result[key] = shown(value, schema, above=f"{path}.")
        else:
            result[key] = masked(str(key), value)
    return result


def _is_under(key: str, secrets: frozenset[str]) -> bool:
    return any(key == secret or key.startswith(f"{secret}.") for secret in secrets)


def _is_table(value: object) -> TypeGuard[Mapping[str, Any]]:  # Any: as above
    return isinstance(value, Mapping)


def _is_record(kind: object) -> TypeGuard[type[Any]]:  # Any: as above
    if not _is_class(kind):
        return False
    return issubclass(kind, msgspec.Struct) or dataclasses.is_dataclass(kind) or _is_model(kind)


def _is_class(value: object) -> TypeGuard[type[object]]:
    return isinstance(value, type)


def _is_model(kind: object) -> TypeGuard[_Model]:
    return callable(getattr(kind, "model_validate", None))


def _model_errors(error: Any) -> list[dict[str, Any]]:  # Any: pydantic's own error, or what a validator raised
    return error.errors(include_url=False, include_input=False) if hasattr(error, "errors") else []


def _secret_keys(kind: Any, above: str = "", seen: tuple[Any, ...] = ()) -> Iterator[str]:  # Any: as above
    if kind in seen or not _is_record(kind):
        return
    names: dict[str, str] = {}
    if issubclass(kind, msgspec.Struct):
        names = {field.name: field.encode_name for field in msgspec.structs.fields(kind)}
    for name, hint in typing.get_type_hints(kind, include_extras=True).items():
        key = f"{above}{names.get(name, name)}"
        if _is_secret(hint):
            yield key
            continue
        for part in (hint, *typing.get_args(hint)):  # of a union, or of what is annotated
            yield from _secret_keys(part, f"{key}.", (*seen, kind))


def _is_secret(hint: Any) -> bool:  # Any: as above
    if getattr(hint, "__name__", "") in _SECRET_KINDS:
        return True
    metadata = getattr(hint, "__metadata__", ())
    if any(isinstance(one, msgspec.Meta) and (one.extra or {}).get("secret") for one in metadata):
        return True
    return any(_is_secret(part) for part in typing.get_args(hint))
