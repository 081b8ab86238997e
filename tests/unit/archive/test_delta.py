"""Several writable layers seen as one: whatever is done before and after a layer is sealed, `changes` and
`write_layer` say what the merged root differs in from the image. A real overlay mount decides.
"""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from proa.archive.apply import apply_layer
from proa.archive.diff import changes
from proa.archive.layer import write_layer
from proa.linux.mount import mount, umount2
from rig.listing import describe

pytestmark = pytest.mark.root

Action = Callable[[Path, random.Random], None]
PATHS = [f"{first}{second}" for first in ("a", "b", "c") for second in ("", "/x", "/y", "/x/z")]


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _file(path: Path, chance: random.Random) -> None:
    _remove(path)
    path.write_text(f"{chance.random()}")


def _append(path: Path, chance: random.Random) -> None:
    if path.is_file():
        with path.open("a") as file:
            file.write("more")


def _directory(path: Path, chance: random.Random) -> None:
    _remove(path)
    path.mkdir(mode=chance.choice((0o755, 0o700)))


def _mode(path: Path, chance: random.Random) -> None:
    if path.exists():
        path.chmod(chance.choice((0o711, 0o750)))


ACTIONS: list[Action] = [_file, _append, _directory, _mode, lambda path, _: _remove(path)]


def work(root: Path, chance: random.Random) -> None:
    for _ in range(chance.randrange(1, 12)):
        path = root / chance.choice(PATHS)
        if path.parent.is_dir() and not path.parent.is_symlink():
            chance.choice(ACTIONS)(path, chance)


class Stack:
    """Layers below `place`, topmost first, and the directory that is being written."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.lowers: list[Path] = []
        self.upper = place / "0"
        self.upper.mkdir()

    def run(self, chance: random.Random) -> dict[str, str]:
        for name in ("work", "root"):
            shutil.rmtree(self.place / name, ignore_errors=True)
            (self.place / name).mkdir()
        below = [*self.lowers, self.place]  # the last: two layers at least, and nothing of the test in it
        empty = self.place.with_name(f"{self.place.name}.empty")
        empty.mkdir(exist_ok=True)
        options = f"lowerdir={':'.join(map(str, [*below[:-1], empty]))},upperdir={self.upper}"
        root = self.place / "root"
        mount("overlay", str(root), "overlay", 0, f"{options},workdir={self.place / 'work'}")
        try:
            work(root, chance)
            return describe(root, skip=("trusted.overlay.",))
        finally:
            umount2(str(root), 0)

    def seal(self) -> None:
        self.lowers.insert(0, self.upper)
        self.upper = self.place / str(len(self.lowers))
        self.upper.mkdir()


def merged(place: Path, lowers: list[Path]) -> dict[str, str]:
    root = place / "seen"
    root.mkdir()
    mount("overlay", str(root), "overlay", 0, f"lowerdir={':'.join(map(str, lowers))}")
    try:
        return describe(root, skip=("trusted.overlay.",))
    finally:
        umount2(str(root), 0)


@pytest.mark.parametrize("seed", range(60))
def test_sealed_layers_are_one(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    stack = Stack(tmp_path)
    before = stack.run(chance)
    image = stack.upper
    sealed = 0
    for _ in range(chance.randrange(2, 5)):
        stack.seal()
        sealed += 1
        after = stack.run(chance)
    uppers = [stack.upper, *stack.lowers[: sealed - 1]]
    pieces: list[bytes] = []
    write_layer(uppers, [image], pieces.append)
    applied = tmp_path / "applied"
    applied.mkdir()
    apply_layer([b"".join(pieces)], applied)
    os.chmod(applied, os.stat(stack.upper).st_mode)
    assert merged(tmp_path, [applied, image]) == after
    assert changes(uppers, [image]) == changes([applied], [image]), (before, after)
