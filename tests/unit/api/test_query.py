"""Queries as Go reads them, versions, paths."""

from __future__ import annotations

import pytest

from proa.api import versions
from proa.api.errors import HttpError
from proa.api.query import Query, unescape
from proa.errors import InvalidArgument


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("x=1", True), ("x=true", True), ("x=True", True), ("x=yes", True), ("x=2", True), ("x=anything", True),
        ("x=", False), ("x", False), ("x=0", False), ("x=no", False), ("x=NO", False), ("x=False", False),
        ("x=none", False), ("", False), ("y=1", False),
    ],
)  # fmt: skip
def test_booleans_are_gos(text: str, expected: bool) -> None:
    assert Query(text).flag("x") is expected


def test_an_absent_boolean_may_mean_true() -> None:
    assert Query("").flag("pause", default=True) is True
    assert Query("pause=0").flag("pause", default=True) is False


@pytest.mark.parametrize(
    "text",
    [
        'filters={"name":{"a":true,"b":true,"c":false}}', 'filters={"name":["a","b"]}',
        "filters=%7B%22name%22%3A%5B%22a%22%2C%22b%22%5D%7D",
    ],
)  # fmt: skip
def test_filters_come_in_two_forms(text: str) -> None:
    assert Query(text).filters() == {"name": ["a", "b"]}


@pytest.mark.parametrize("text", ["", "filters=", "filters={}", "filters=null"])
def test_no_filters(text: str) -> None:
    assert Query(text).filters() == {}


@pytest.mark.parametrize("text", ["x", "[]", '{"a":1}', '{"a":{"b":1}}', '{"a":["b"', "[" * 5000])
def test_broken_filters_are_refused(text: str) -> None:
    with pytest.raises(InvalidArgument, match="invalid filter"):
        Query(f"filters={text}").filters()


def test_values_are_decoded() -> None:
    query = Query("a=x+y&a=%C3%A9&b=c%3Dd&&c")
    assert query.all("a") == ["x y", "é"]
    assert query.text("a") == "x y"
    assert query.text("b") == "c=d"
    assert ("c" in query, query.text("c")) == (True, "")


@pytest.mark.parametrize("text", ["a=%", "a=%zz", "%4=1", "a=%ff", "a=1;b=2"])
def test_broken_queries_are_refused(text: str) -> None:
    with pytest.raises(InvalidArgument, match=r"invalid (URL|semicolon)"):
        Query(text)


def test_numbers() -> None:
    assert Query("t=-1").integer("t") == -1
    assert Query("t=").integer("t") is None
    assert Query("h=24").size("h", "height") == 24
    for text in ("t=1.5", "t=1_0", "t=%D9%A3", "t= 1", "t=9223372036854775808", "t=" + "9" * 5000):
        with pytest.raises(InvalidArgument, match=r"strconv\.Atoi"):
            Query(text).integer("t")


def test_paths_keep_their_slashes() -> None:
    assert unescape("/images/docker.io%2Flibrary%2Fa/json") == "/images/docker.io/library/a/json"


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/v1.44/info", ("1.44", "/info")), ("/info", ("", "/info")), ("/v1/info", ("1", "/info")),
        ("/volumes/v1.2", ("", "/volumes/v1.2")), ("/v1.44", ("", "/v1.44")),
    ],
)  # fmt: skip
def test_versions_are_split_off(path: str, expected: tuple[str, str]) -> None:
    assert versions.split(path) == expected


@pytest.mark.parametrize(
    ("text", "version"), [("", (1, 51)), ("1.24", (1, 24)), ("1.44", (1, 44)), ("1.44.1", (1, 44))]
)
def test_versions_are_agreed(text: str, version: tuple[int, int]) -> None:
    assert versions.negotiate(text) == version


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "1.23",
            "client version 1.23 is too old. Minimum supported API version is 1.24, "
            "please upgrade your client to a newer version",
        ),
        ("1", "client version 1 is too old"),
        ("1.52", "client version 1.52 is too new. Maximum supported API version is 1.51"),
        ("2.0", "client version 2.0 is too new"),
        ("." * 9, "is too old"),
        ("9" * 5000, "is too new"),
    ],
)
def test_other_versions_are_refused(text: str, message: str) -> None:
    with pytest.raises(HttpError) as failure:
        versions.negotiate(text)
    assert failure.value.status == 400
    assert message in failure.value.message
