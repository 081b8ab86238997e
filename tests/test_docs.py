"""What the documents name is there."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

import pytest

PROJECT = Path(__file__).parent.parent
DOCUMENTS = [
    *(PROJECT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")),
    *sorted((PROJECT / "docs").rglob("*.md")),
]
FILE = re.compile(r"`((?:src|tests|docs|scripts|packaging|bench|\.ci)/[\w./-]+)`")
LINK = re.compile(r"\]\((?!https?:|#)([^)#\s]+)")
TARGET = re.compile(r"`make ([a-z0-9-]+)`")


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_named_files_exist(document: Path) -> None:
    text = document.read_text()
    missing = [name for name in FILE.findall(text) if not (PROJECT / name).exists()]
    missing += [link for link in LINK.findall(text) if not (document.parent / link).exists()]
    assert not missing


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_named_make_words_exist(document: Path) -> None:
    words = set(re.findall(r"^([a-z0-9-]+):", (PROJECT / "Makefile").read_text(), re.MULTILINE))
    assert set(TARGET.findall(document.read_text())) <= words


def test_the_tour_is_the_path_of_run() -> None:
    """docs/architecture.md prints the hops of `run` in order; each file's docstring names the next hop."""
    text = (PROJECT / "docs/architecture.md").read_text()
    tour = text.split("## The tour of `run`", 1)[1].split("\n## ", 1)[0]
    hops = re.findall(r"^\d+\. `(src/proa/[\w/]+\.py)`", tour, re.MULTILINE)
    assert len(hops) >= 8
    for here, after in pairwise(hops):
        opening = (PROJECT / here).read_text().split('"""')[1]
        path = after.removeprefix("src/proa/")
        names = {path, f"proa.{path.removesuffix('.py').replace('/', '.')}"}
        if Path(here).parent == Path(after).parent:
            names.add(Path(after).name)
        assert any(name in opening for name in names), f"{here} does not name its next hop {path}"
