"""Go's path.Match: its own documented cases, and patterns that would hang a backtracking matcher."""

from __future__ import annotations

import pytest

from proa.engine.images import globs
from proa.errors import InvalidArgument


@pytest.mark.parametrize(
    ("pattern", "text", "matches"),
    [
        ("abc", "abc", True), ("", "", True), ("", "a", False), ("abc", "abcd", False),
        ("*", "abc", True), ("*", "", True), ("*c", "abc", True), ("a*", "ab/c", False),
        ("a*/b", "abc/b", True), ("a*/b", "a/c/b", False), ("a*b*c*d*e*/f", "axbxcxdxe/f", True),
        ("a*b*c*d*e*/f", "axbxcxdxexxx/f", True), ("a*b*c*d*e*/f", "axbxcxdxe/xxx/f", False),
        ("a*b?c*x", "abxbbxdbxebxczzx", True), ("a*b?c*x", "abxbbxdbxebxczzy", False),
        ("ab[c]", "abc", True), ("ab[b-d]", "abc", True), ("ab[e-g]", "abc", False),
        ("ab[^c]", "abc", False),
        ("ab[^b-d]", "abc", False), ("ab[^e-g]", "abc", True), ("a\\*b", "a*b", True),
        ("a\\*b", "ab", False),
        ("a?b", "a☺b", True), ("a[^a]b", "a☺b", True), ("a???b", "a☺b", False), ("[a-ζ]*", "α", True),
        ("a?b", "a/b", False), ("a*b", "a/b", False), ("[\\]a]", "]", True), ("[\\-]", "-", True),
        ("[x\\-]", "x", True), ("[x\\-]", "-", True), ("[\\-x]", "-", True), ("*x", "xxx", True),
        ("[z-a]", "b", False), ("[^z-a]", "b", True), ("a[!b", "a", None), ("**", "abc", True),
        ("*.*", "a.b", True), ("busybox:*", "busybox:1.36", True), ("[&&a]", "&", True), ("[[a]", "[", True),
        ("[]a]", "]", None), ("[-]", "-", None), ("[x-]", "x", None), ("[-x]", "x", None), ("\\", "a", None),
        ("[a-b-c]", "a", None), ("[", "a", None), ("[^", "a", None), ("[^bc", "a", None), ("a[", "ab", None),
        ("[a-]", "a", None), ("[a\\", "a", None),
    ],
)  # fmt: skip
def test_as_go_does(pattern: str, text: str, matches: bool | None) -> None:
    if matches is None:
        with pytest.raises(InvalidArgument, match="syntax error in pattern"):
            globs.matcher(pattern)
    else:
        assert bool(globs.matcher(pattern).fullmatch(text)) is matches


@pytest.mark.timeout(5)
def test_many_stars_cost_no_exponential_time() -> None:
    assert not globs.matcher("*a" * 60 + "b").fullmatch("a" * 2000)
