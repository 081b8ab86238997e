"""Directories of cgroups, tried on ordinary ones where those behave alike."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from proa.cgroups import tree


def test_nesting_deeper_than_pythons_recursion_limit(tmp_path: Path) -> None:
    top = str(tmp_path / "top")
    for depth in range(1201):
        os.mkdir(top + "/d" * depth)
    os.mkdir(f"{top}/e")
    found = tree.directories(top)
    assert len(found) == 1202
    assert found[-1] == top
    assert found == sorted(found, key=len, reverse=True)
    tree.remove(top)
    assert not os.path.exists(top)


def test_what_cannot_be_removed_is_reported(tmp_path: Path) -> None:
    (tmp_path / "top").mkdir()
    (tmp_path / "top" / "file").touch()
    with pytest.raises(OSError, match="not empty"):
        tree.remove(str(tmp_path / "top"))


def test_what_is_gone_is_no_error(tmp_path: Path) -> None:
    assert tree.directories(str(tmp_path / "gone")) == []
    assert tree.processes(str(tmp_path / "gone")) == []
    tree.remove(str(tmp_path / "gone"))
