"""Finds the JobApp that a command names: `file.py`, `file.py:name`, `module` or `module:name`."""

import importlib
import importlib.util
import os
import sys
import traceback
from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from types import ModuleType
from typing import Final

from mainspring.errors import InvalidArgumentError, MainspringError
from mainspring.jobs import JobApp, job_runner

_FORMS: Final = "a file as app.py, or module:attribute"
_MAIN: Final = "app"
_LIBRARY: Final = __name__.partition(".")[0]
_STATE: Final = "MAINSPRING_STATE_DIR"
_asked_store: ContextVar[str | None] = ContextVar("asked_store", default=None)


def load_app(name: str) -> JobApp:
    """Import what `name` says and return its JobApp: the attribute, else `app`, else the only one there is.

    A module without a JobApp of its own that registered jobs with `mainspring.jobs.job` has the default one. It uses
    the store that the command line asks for, else its own.

    Raises:
        InvalidArgumentError: there is no such file, module or app, or more than one, or its code raises.
    """
    app = _find_app(name)
    app.adjust(store=_asked_store.get())
    return app


@contextmanager
def asked_places(*, store: str | None, state: Path | None) -> Generator[None]:
    """Let apps that are loaded within the block use this store and this state directory; None for their own."""
    token = _asked_store.set(store or _asked_store.get())
    before = os.environ.get(_STATE)
    if state is not None:
        os.environ[_STATE] = str(state.absolute())  # processes that are started find it there, too
    try:
        yield
    finally:
        _asked_store.reset(token)
        if before is not None:
            os.environ[_STATE] = before
        elif state is not None:
            del os.environ[_STATE]


def _find_app(name: str) -> JobApp:
    module, place, attribute = load_module(name)
    app = _app_in(module, place, attribute, name)
    if any(job.runs_in == "process" for job in app.jobs.values()):
        refuse_dots(module, name)
    return app


def _app_in(module: ModuleType, place: str, attribute: str, name: str) -> JobApp:
    if attribute:
        found = getattr(module, attribute, None)
        if not isinstance(found, JobApp):
            raise InvalidArgumentError(argument="APP", value=name, expected=f"{attribute!r} to be a JobApp in {place}")
        return found
    apps = {key: value for key, value in vars(module).items() if isinstance(value, JobApp)}
    if _MAIN in apps:
        return apps[_MAIN]
    different = list({id(one): one for one in apps.values()}.values())
    if len(different) > 1:
        names = ", ".join(sorted(apps))
        raise InvalidArgumentError(
            argument="APP", value=name, expected="one JobApp", hint=f"say which: {place}:NAME, one of {names}"
        )
    if different:
        return different[0]
    if job_runner.jobs:
        return job_runner
    raise InvalidArgumentError(
        argument="APP", value=name, expected="a module with a JobApp or jobs", hint="name it `app`, or give module:name"
    )


def load_module(name: str) -> tuple[ModuleType, str, str]:
    """Import what `name` says; return the module, its place in words, and the attribute, "" when none is named.

    Raises:
        InvalidArgumentError: there is no such file or module, or its code raises.
    """
    place, attribute = _split(name)
    try:
        module = _import(place, name)
    except MainspringError:
        raise
    except Exception as error:  # supervisor: whatever a user's module raises, the command says in a sentence
        expected = f"a module that can be imported; {_place_of(error)}: {type(error).__name__}: {error}"
        raise InvalidArgumentError(
            argument="APP", value=name, expected=expected, hint="run it with python to see the whole traceback"
        ) from error
    return module, place, attribute


def refuse_dots(module: ModuleType, name: str) -> None:
    """Refuse a module that worker processes must import, and would look for in a package.

    Raises:
        InvalidArgumentError: its file has dots in its name, as `my.app.py`.
    """
    stem = Path(module.__file__ or "").stem
    if "." in stem:
        expected = "a file without further dots in its name, by which worker processes import it"
        hint = f"rename it, as to {stem.replace('.', '_')}.py"
        raise InvalidArgumentError(argument="APP", value=name, expected=expected, hint=hint)


def folder_of_code(name: str) -> Path:
    """Return the folder that holds the code of an app: that of its file, or of its first package."""
    place, _ = _split(name)
    if Path(place).suffix == ".py" or Path(place).exists():
        return Path(place).resolve().parent
    package = sys.modules.get(place.partition(".")[0])
    file = getattr(package, "__file__", None)
    return Path.cwd() if file is None else Path(file).resolve().parent


def _place_of(error: Exception) -> str:
    """Return file:line where a module's code went wrong."""
    if isinstance(error, SyntaxError):
        return f"{error.filename}:{error.lineno}"
    last = traceback.extract_tb(error.__traceback__)[-1]
    return f"{last.filename}:{last.lineno}"


def _split(name: str) -> tuple[str, str]:
    place, _, attribute = name.rpartition(":")
    return (place, attribute) if place else (name, "")


def _import(place: str, name: str) -> ModuleType:
    path = Path(place)
    if path.suffix == ".py" or path.exists():
        return _import_file(path, name)
    _put_first(str(Path.cwd()))
    try:
        found = importlib.util.find_spec(place)
    except (ImportError, ValueError):
        found = None
    if found is None:
        raise InvalidArgumentError(argument="APP", value=name, expected=_FORMS, hint=f"there is no module {place!r}")
    return importlib.import_module(place)


def _import_file(path: Path, name: str) -> ModuleType:
    if not path.is_file():
        hint = f"{path} is a directory" if path.is_dir() and name else f"there is no file {path}"
        raise InvalidArgumentError(argument="APP", value=name, expected=_FORMS, hint=hint)
    if path.stem == _LIBRARY:
        expected = "a file of another name, since this one would hide the library"
        raise InvalidArgumentError(argument="APP", value=name, expected=expected, hint="rename it, as to app.py")
    # Known by its name: worker processes that are sent its functions must find it too.
    _put_first(str(path.resolve().parent))
    loaded = sys.modules.get(path.stem)
    if loaded is not None and getattr(loaded, "__file__", None) == str(path.resolve()):
        return loaded
    found = importlib.util.spec_from_file_location(path.stem, path.resolve())
    if found is None or found.loader is None:
        raise InvalidArgumentError(argument="APP", value=name, expected=_FORMS)
    module = importlib.util.module_from_spec(found)
    sys.modules[path.stem] = module
    try:
        found.loader.exec_module(module)
    except BaseException:
        del sys.modules[path.stem]
        raise
    return module


def _put_first(folder: str) -> None:
    if folder not in sys.path:
        sys.path.insert(0, folder)
