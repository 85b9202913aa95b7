"""Plain imports of the older libraries, answered by the modules of this room."""

import importlib
import sys
from collections.abc import Iterable, Sequence
from importlib.abc import Loader
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import ModuleType
from typing import Final

from mainspring.base import ChildFinder
from mainspring.errors import InvalidArgumentError, MisuseError

# What each library's wheels put beside it.
_PACKAGES: Final = {
    "aiomisc": ("aiomisc", "aiomisc_log", "aiomisc_pytest", "aiomisc_dependency"),
    "mutil": ("mutil",),
    "piko": ("piko",),
    "pyutils": ("pyutils",),
}


def install(*libraries: str) -> None:
    """Let `import aiomisc` and its like find the modules of `mainspring.compat`; all libraries by default.

    Call it before the first of those imports. A library that is really installed is hidden from then on. Workers and
    other child processes find them, too.

    Args:
        libraries: "aiomisc", "mutil", "piko" or "pyutils".

    Raises:
        InvalidArgumentError: another name.
        MisuseError: the library itself was imported before.

    Example:
        >>> install("aiomisc")
        >>> from aiomisc import Service
        >>> Service.__module__
        'mainspring.runtime._service'
    """
    for library in libraries:
        if library not in _PACKAGES:
            expected = f"one of {', '.join(_PACKAGES)}"
            raise InvalidArgumentError(argument="libraries", value=library, expected=expected)
    wanted = {package for library in libraries or _PACKAGES for package in _PACKAGES[library]}
    for name in wanted:
        loaded = sys.modules.get(name)
        if loaded is not None and not loaded.__name__.startswith("mainspring."):
            hint = "call install() before anything imports it"
            raise MisuseError(what=f"the library {name}", problem="was imported before", hint=hint)
    _finder().packages.update(wanted)


def _finder() -> "CompatFinder":
    for finder in sys.meta_path:
        if isinstance(finder, CompatFinder):
            return finder
    made = CompatFinder()
    sys.meta_path.insert(0, made)
    return made


class CompatFinder(ChildFinder):
    """Finds `aiomisc.x` as `mainspring.compat.aiomisc.x`: one module under two names, in child processes too."""

    def __init__(self) -> None:
        self.packages: set[str] = set()

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Answer for the installed libraries."""
        if fullname.partition(".")[0] not in self.packages:
            return None
        found = find_spec(f"mainspring.compat.{fullname}")
        if found is None:
            return None
        spec = ModuleSpec(
            fullname, _Alias(), origin=found.origin, is_package=found.submodule_search_locations is not None
        )
        spec.has_location = False
        return spec


class _Alias(Loader):
    """Gives the module of this room out under the older name, and leaves it as it is."""

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """Import the real module."""
        module = importlib.import_module(f"mainspring.compat.{spec.name}")
        self._spec = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        """Undo what the import system has noted, and give the modules that came along their older names too.

        A later import of one of those would put the module in the place of an object with the same name.
        """
        module.__spec__ = self._spec
        here = "mainspring.compat."
        for name in _below(module.__name__, tuple(sys.modules)):
            sys.modules.setdefault(name.removeprefix(here), sys.modules[name])

    def get_code(self, fullname: str) -> object:
        """Return the code of the real module, for `python -m`."""
        found = find_spec(f"mainspring.compat.{fullname}")
        loader: object = found.loader if found else None
        return getattr(loader, "get_code")(f"mainspring.compat.{fullname}")  # noqa: B009  # loaders of files have it


def _below(package: str, names: Iterable[str]) -> list[str]:
    return [name for name in names if name.startswith(f"{package}.")]
