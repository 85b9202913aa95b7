"""`mainspring run --reload`: the process begins anew when a Python file beside the app's code changes."""

import asyncio
import os
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NoReturn

from mainspring.cli._errors import say_error
from mainspring.cli._load import folder_of_code, load_app
from mainspring.errors import MainspringError
from mainspring.jobs import JobApp

_LOOK_INTERVAL: Final = 0.5

Seen = dict[str, tuple[int, int]]


class SourceWatch:
    """Looks at the Python files in the folders of what was loaded from below the folder of an app's code.

    Args:
        name: the app, as the command line names it.
        error: why it could not be loaded; the files that its traceback names are looked at, too.
    """

    def __init__(self, name: str, error: BaseException | None = None) -> None:
        root = folder_of_code(name)
        files = [str(getattr(module, "__file__", None) or "") for module in tuple(sys.modules.values())]
        while error is not None:
            files.append(str(getattr(error, "filename", None) or ""))
            files += [frame.filename for frame in traceback.extract_tb(error.__traceback__)]
            error = error.__cause__
        folders = (Path(file).resolve().parent for file in files if file)
        self._folders = {root, *(folder for folder in folders if _is_below(folder, root))}
        self._seen = self._look()

    @property
    def has_changed(self) -> bool:
        """Whether a file was changed, added or removed since this was made."""
        return self._look() != self._seen

    async def changed(self) -> None:
        """Wait for that."""
        while not self.has_changed:  # noqa: ASYNC110  # nobody says so
            await asyncio.sleep(_LOOK_INTERVAL)

    def _look(self) -> Seen:
        return {path: state for folder in self._folders for path, state in _files_of(folder)}


def _is_below(folder: Path, root: Path) -> bool:
    return folder.is_relative_to(root) and "site-packages" not in folder.relative_to(root).parts


def _files_of(folder: Path) -> Iterator[tuple[str, tuple[int, int]]]:
    try:
        with os.scandir(folder) as entries:
            files = [entry for entry in entries if entry.name.endswith(".py")]
    except OSError:  # the folder is gone: that is a change
        return
    for file in files:
        try:
            status = file.stat()
        except OSError:  # just gone, or a link to nothing; the others are looked at all the same
            continue
        yield file.path, (status.st_mtime_ns, status.st_size)


def load_watched(name: str) -> JobApp:
    """Return the app as `load_app` does; when it cannot be loaded, say why, wait for a change, and begin anew."""
    try:
        return load_app(name)
    except MainspringError as error:
        watch = SourceWatch(name, error)
        say_error(error)
        sys.stderr.write("note: waiting for a change of its code; Ctrl-C ends it\n")
        asyncio.run(watch.changed())
        begin_anew()


def begin_anew() -> NoReturn:
    """Put a fresh interpreter with the same command line in the place of this one."""
    sys.stdout.flush()
    sys.stderr.flush()
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])
