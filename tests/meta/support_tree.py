"""Reading the source tree for the meta tests: modules, their imports, and the doors of the rooms."""

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
SRC = ROOT / "src"

FLOORS = {
    "errors": 0,
    "base": 1,
    "concurrency": 2,
    "resilience": 3,
    "transport": 4,
    "storage": 4,
    "tools": 4,
    "runtime": 5,
    "sinks": 5,
    "jobs": 6,
    "dataflow": 6,
    "services": 6,
    "web": 7,
    "testing": 8,
    "cli": 9,
    "compat": 9,
    "demo": 9,
}


@dataclass(frozen=True)
class Module:
    """One source file."""

    name: str
    path: Path
    text: str

    @cached_property
    def tree(self) -> ast.Module:
        """The file, parsed when it is asked for: to parse all of them takes more than a second."""
        return ast.parse(self.text, str(self.path))

    @property
    def is_package(self) -> bool:
        """Whether the file is an `__init__`."""
        return self.path.name == "__init__.py"

    @property
    def room(self) -> str:
        """The room it lies in; a module outside the rooms is one by itself, the package is ''."""
        parts = self.name.split(".")
        return parts[1] if len(parts) > 1 else ""


@dataclass(frozen=True, slots=True)
class Import:
    """One name taken from one module (`name` is None for `import target`)."""

    target: str
    name: str | None
    line: int


def read_modules(src: Path = SRC) -> list[Module]:
    """Return every module below `src/mainspring`, by name."""
    modules: list[Module] = []
    for path in sorted((src / "mainspring").rglob("*.py")):
        parts = path.relative_to(src).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        modules.append(Module(name, path, path.read_text()))
    return modules


def plant(folder: Path, files: Mapping[str, str]) -> list[Module]:
    """Write a small bad tree (path below `src/mainspring` to source) and read it, for the self-test of a rule."""
    for name, text in files.items():
        path = folder / "mainspring" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return read_modules(folder)


def read_imports(module: Module) -> Iterator[Import]:
    """Return every import of the file: in functions and under TYPE_CHECKING too, and by `import_module`."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import):
            yield from (Import(alias.name, None, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            target = _absolute(module, node)
            yield from (Import(target, alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.Call) and _called(node) in {"import_module", "__import__", "load_extra"}:
            first = node.args[0] if node.args else None
            if isinstance(first, ast.Constant) and isinstance(first.value, str):
                yield Import(first.value, None, node.lineno)


def _absolute(module: Module, node: ast.ImportFrom) -> str:
    if node.level == 0:
        return node.module or ""
    parts = module.name.split(".")
    base = parts[: len(parts) - node.level + (1 if module.is_package else 0)]
    return ".".join([*base, *([node.module] if node.module else [])])


def _called(node: ast.Call) -> str:
    function = node.func
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


@dataclass(frozen=True, slots=True)
class Door:
    """What a package's `__init__` offers: what the checkers see, and what a first use finds."""

    module: Module
    seen: tuple[tuple[str, str], ...]
    public: tuple[tuple[str, str], ...]
    house: tuple[tuple[str, str], ...]
    lazy: bool

    @property
    def names(self) -> frozenset[str]:
        """Every name that other rooms may import."""
        return frozenset(name for name, _ in (*self.public, *self.house))


def read_door(module: Module) -> Door:
    """Return the door of a package: pairs of a name and the absolute module it comes from."""
    calls = [node for node in ast.walk(module.tree) if isinstance(node, ast.Call) and _called(node) == "door"]
    table = [call for call in calls if len(call.args) == 2]
    seen: list[tuple[str, str]] = []
    for branch in module.tree.body:
        if isinstance(branch, ast.If) and ast.unparse(branch.test) == "TYPE_CHECKING":
            seen += _exports(module, branch.body)
    if not table:
        plain = _exports(module, module.tree.body)
        return Door(module, tuple(plain), tuple(plain), (), lazy=False)
    call = table[0]
    house = next((keyword.value for keyword in call.keywords if keyword.arg == "house"), None)
    return Door(module, tuple(seen), _entries(module, call.args[1]), _entries(module, house), lazy=True)


def _exports(module: Module, body: list[ast.stmt]) -> list[tuple[str, str]]:
    return [
        (alias.asname, _absolute(module, node))
        for node in body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
        if alias.asname is not None
    ]


def _entries(module: Module, table: ast.expr | None) -> tuple[tuple[str, str], ...]:
    if table is None:
        return ()
    files: dict[str, tuple[str, ...]] = ast.literal_eval(table)
    return tuple(
        (name, file if file.startswith("mainspring.") else f"{module.name}.{file}")
        for file, names in files.items()
        for name in names
    )
