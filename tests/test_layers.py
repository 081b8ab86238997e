"""The house has one arrow: which module may import which. The table below is the rule, docs/architecture.md
tells it in words.
"""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import pytest

SOURCE = Path(__file__).parent.parent / "src"
TESTS = Path(__file__).parent

# A part imports from parts of a lower number only, never from another part of its own number.
LAYERS: dict[str, int] = {
    "errors": 0, "ids": 0, "atomic": 0, "times": 0, "wording": 0, "templates": 0,
    "linux": 1, "oci": 1,
    "content": 2, "archive": 2, "cgroups": 2,
    "snapshots": 3, "registry": 3, "runtime": 3, "network": 3, "dns": 3,
    "shim": 4,
    "engine": 5,
    "build": 6,
    "api": 7,
}  # fmt: skip
BASE = {name for name, layer in LAYERS.items() if layer == 0}
# Parts beside the arrow: they reach the engine over its socket alone.
CLIENTS: dict[str, set[str]] = {
    "client": BASE | {"oci"},
    "cli": BASE | {"oci", "client"},
}
# The base modules stand alone, but for these.
WITHIN_BASE: dict[str, set[str]] = {
    "times": {"errors"},
    "wording": {"errors", "ids", "times"},
    "templates": {"errors", "templates"},
}
# Programs: they put the parts together, nothing imports them.
PROGRAMS = {"engine_main", "__main__"}

# What processes that stay in memory once for each container may import of the standard library:
# a module more costs every container its pages, and every start its time.
LEAN_PARTS = ("linux", "cgroups", "runtime", "shim", "dns")
LEAN_MODULES = {
    "__future__", "_ctypes", "_json", "_signal", "_socket", "array", "base64", "binascii", "collections", "ctypes",
    "errno", "fcntl", "functools", "gc", "heapq", "itertools", "json", "math", "mmap", "os", "platform",
    "resource", "select", "signal", "socket", "stat", "string", "struct", "sys", "termios", "time",
    "ssl", "zlib",  # in the child processes that write logs
}  # fmt: skip
HEAVY = (
    "asyncio",
    "dataclasses",
    "pathlib",
    "subprocess",
    "threading",
    "typing",
    "logging",
    "ssl",
    "aiohttp",
    "msgspec",
)

LONGEST = 400  # lines of a module
# Modules that are longer for now, with their length: entries may only shrink and disappear.
LONGER: dict[str, int] = {}


class Import(NamedTuple):
    """One import: the module named, and whether it only serves the type checker."""

    name: str
    line: int
    typing_only: bool


def modules() -> dict[str, Path]:
    """Dotted name -> file, of the whole package."""
    found = {}
    for path in sorted(SOURCE.rglob("*.py")):
        parts = path.relative_to(SOURCE).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


MODULES = modules()


@lru_cache
def imports(module: str) -> tuple[Import, ...]:
    return tuple(_imports(ast.parse(MODULES[module].read_text()), module, typing_only=False))


def _imports(node: ast.AST, module: str, typing_only: bool) -> Iterator[Import]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            yield from (Import(alias.name, child.lineno, typing_only) for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            assert child.level == 0, f"{module}:{child.lineno}: relative imports hide where a name comes from"
            assert child.module
            for alias in child.names:
                inner = f"{child.module}.{alias.name}"
                yield Import(inner if inner in MODULES else child.module, child.lineno, typing_only)
        elif isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            yield from _imports(ast.Module(child.body, []), module, typing_only=True)
            yield from _imports(ast.Module(child.orelse, []), module, typing_only)
        else:
            yield from _imports(child, module, typing_only)


def part(module: str) -> str:
    """The part of the house a module belongs to: "linux" of "proa.linux.mount"."""
    return module.split(".")[1] if "." in module else ""


def own(module: str) -> list[Import]:
    return [found for found in imports(module) if found.name.split(".")[0] == "proa"]


def allowed(importer: str, imported: str) -> bool:
    """Whether a module of part `importer` may import one of part `imported`."""
    if imported in PROGRAMS:
        return False
    if importer in PROGRAMS or imported == "":  # proa itself holds the version, nothing else
        return True
    if importer in CLIENTS:
        return imported == importer or imported in CLIENTS[importer]
    if importer in BASE:
        return imported in WITHIN_BASE.get(importer, ())
    if imported in CLIENTS:
        return False
    return importer == imported or LAYERS[imported] < LAYERS[importer]


def test_every_part_has_a_place() -> None:
    known = {*LAYERS, *CLIENTS, *PROGRAMS, ""}
    assert {part(module) for module in MODULES} <= known


def test_the_arrow() -> None:
    wrong = [
        f"{MODULES[module].relative_to(SOURCE)}:{found.line}: {module} must not import {found.name}"
        for module in MODULES
        for found in own(module)
        if not allowed(part(module), part(found.name))
    ]
    assert not wrong, "\n".join(wrong)


def test_no_cycles() -> None:
    """Imports inside functions count too: they move a cycle, they do not cut it."""
    edges = {
        module: {found.name for found in own(module) if not found.typing_only and found.name != module}
        for module in MODULES
    }
    finished: set[str] = set()

    def walk(module: str, trail: tuple[str, ...]) -> None:
        if module in trail:
            raise AssertionError(" -> ".join([*trail[trail.index(module) :], module]))
        if module not in finished:
            for target in sorted(edges.get(module, ())):
                walk(target, (*trail, module))
            finished.add(module)

    for module in edges:
        walk(module, ())


def test_lean_parts_import_little() -> None:
    wrong = [
        f"{module}:{found.line} imports {found.name}"
        for module in MODULES
        if part(module) in LEAN_PARTS
        for found in imports(module)
        if not found.typing_only
        and found.name.split(".")[0] not in LEAN_MODULES | {"proa"}
        and found.name != "typing"  # TYPE_CHECKING comes from there; the next test sees what it costs
    ]
    assert not wrong, "\n".join(wrong)


LEAN = sorted(module for module in MODULES if part(module) in LEAN_PARTS)


def loaded(*names: str) -> set[str]:
    """The modules an interpreter without site has after importing `names`."""
    script = "import sys\n" + "".join(f"import {name}\n" for name in names) + "print(*sys.modules)"
    environment = {"PYTHONPATH": os.fspath(SOURCE), "PATH": os.environ["PATH"]}
    done = subprocess.run(
        [sys.executable, "-S", "-B", "-c", script],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return set(done.stdout.split())


def test_lean_parts_load_little() -> None:
    """What really happens at import, whatever the sources look like."""
    assert LEAN, "no lean modules found"
    # Protocols are imported only while type checking.
    assert not loaded(*(name for name in LEAN if not name.endswith(".interface"))) & set(HEAVY)


def test_the_command_line_starts_light() -> None:
    if "proa.cli.main" not in MODULES:
        pytest.skip("needs the command line")
    found = loaded("proa.cli.main")
    assert not found & {*HEAVY, "json", "argparse", "socket", "http", "ctypes", "inspect", "enum"}
    assert len(found) < 75


@pytest.mark.parametrize("folder", [SOURCE, TESTS], ids=["src", "tests"])
def test_files_have_one_subject_and_few_lines(folder: Path) -> None:
    base = folder.parent
    lengths = {
        path.relative_to(base).as_posix(): len(path.read_text().splitlines()) for path in folder.rglob("*.py")
    }
    too_long = {name: length for name, length in lengths.items() if length > LONGER.get(name, LONGEST)}
    assert not too_long
    stale = {name for name in LONGER if name.startswith(f"{folder.name}/") and lengths.get(name, 0) <= LONGEST}
    assert not stale, "short again: take them off the list"


def test_modules_say_their_subject() -> None:
    silent = [name for name, path in MODULES.items() if not ast.get_docstring(ast.parse(path.read_text()))]
    empty_packages = {name for name in silent if not MODULES[name].read_text().strip()}
    assert set(silent) <= empty_packages
