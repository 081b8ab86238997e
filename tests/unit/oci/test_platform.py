"""Platforms: what users write, and what of an index runs where."""

from __future__ import annotations

import pytest

from proa.errors import InvalidArgument
from proa.oci import platform
from proa.oci.platform import Platform

WRITTEN = {
    "linux/amd64": "linux/amd64",
    "linux/x86_64": "linux/amd64",
    "Linux/AMD64/v1": "linux/amd64",
    "linux/arm64/v8": "linux/arm64",
    "linux/aarch64": "linux/arm64",
    "linux/arm": "linux/arm/v7",
    "linux/armhf": "linux/arm/v7",
    "linux/armel": "linux/arm/v6",
    "linux/arm/v5": "linux/arm/v5",
    "linux/i386": "linux/386",
    "windows/amd64": "windows/amd64",
}


@pytest.mark.parametrize("text", WRITTEN)
def test_parse_gives_names_of_go(text: str) -> None:
    assert str(Platform.parse(text)) == WRITTEN[text]


def test_one_word_is_completed_from_this_machine() -> None:
    here = platform.default()
    assert Platform.parse("linux") == Platform("linux", here.architecture, here.variant)
    assert Platform.parse("arm64") == Platform(here.os, "arm64")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("linux/*", "wildcards not yet supported"),
        ("", "invalid component"),
        ("linux/", "invalid component"),
        ("linux/am d64", "invalid component"),
        ("a/b/c/d", "cannot parse platform specifier"),
        ("warp9", "unknown operating system or architecture"),
    ],
)
def test_nonsense_is_refused(text: str, message: str) -> None:
    with pytest.raises(InvalidArgument, match=message):
        Platform.parse(text)


@pytest.mark.parametrize(
    ("here", "offered", "best"),
    [
        ("linux/amd64", ["linux/arm64", "linux/amd64"], "linux/amd64"),
        ("linux/amd64", ["linux/386", "linux/arm64"], "linux/386"),
        ("linux/amd64", ["linux/386", "linux/amd64"], "linux/amd64"),
        ("linux/amd64/v3", ["linux/amd64", "linux/amd64/v2", "linux/amd64/v4"], "linux/amd64/v2"),
        ("linux/amd64", ["linux/amd64/v2"], None),
        ("linux/arm64", ["linux/arm/v6", "linux/arm/v7"], "linux/arm/v7"),
        ("linux/arm/v7", ["linux/arm/v5", "linux/arm/v6"], "linux/arm/v6"),
        ("linux/arm/v6", ["linux/arm/v7"], None),
        ("linux/amd64", ["windows/amd64"], None),
        ("linux/s390x", ["linux/amd64"], None),
    ],
)
def test_the_best_match_wins(here: str, offered: list[str], best: str | None) -> None:
    wanted = Platform.parse(here)
    ranks = [(rank, text) for text in offered if (rank := wanted.rank(Platform.parse(text))) is not None]
    assert (min(ranks)[1] if ranks else None) == best
