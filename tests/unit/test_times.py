"""Times: Go's texts, Docker's `--since`, hostile text; checked against `datetime` where that reaches."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proa import times
from proa.errors import InvalidArgument

NOW = 1_700_000_000_123_456_789


@pytest.fixture
def new_york(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "America/New_York")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize(
    ("moment", "text"),
    [
        (0, "0001-01-01T00:00:00Z"),
        (1, "1970-01-01T00:00:00.000000001Z"),
        (NOW, "2023-11-14T22:13:20.123456789Z"),
        (1_700_000_000_500_000_000, "2023-11-14T22:13:20.5Z"),
        (1_700_000_000_000_000_000, "2023-11-14T22:13:20Z"),
    ],
)
def test_format_as_go_does(moment: int, text: str) -> None:
    assert times.format_time(moment) == text


def test_fixed_width() -> None:
    assert times.format_fixed(1_700_000_000_500_000_000) == "2023-11-14T22:13:20.500000000Z"
    assert times.format_fixed(times.parse_time(times.ZERO_TEXT)) == "0001-01-01T00:00:00.000000000Z"


@given(st.datetimes(timezones=st.just(UTC)))
def test_parsing_agrees_with_datetime(moment: datetime) -> None:
    expected = (moment - datetime(1970, 1, 1, tzinfo=UTC)) // (datetime.resolution) * 1000
    text = moment.isoformat()
    assert times.parse_time(text) == expected
    assert times.parse_time(times.format_fixed(expected)) == expected


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2023-11-14T22:13:20Z", NOW // times.SECOND * times.SECOND),
        ("2023-11-14t22:13:20z", NOW // times.SECOND * times.SECOND),
        ("2023-11-14T23:13:20.123456789+01:00", NOW),
        ("2023-11-14T16:43:20.1234567891234-05:30", NOW),
    ],
)
def test_offsets_and_fractions(text: str, moment: int) -> None:
    assert times.parse_time(text) == moment


@pytest.mark.parametrize(
    "text",
    ["", "Z", "2023-11-14", "2023-11-14T22:13:20", "2023-02-29T00:00:00Z", "2023-13-01T00:00:00Z",
     "2023-11-14T24:00:00Z", "2023-11-14T22:60:00Z", "2023-11-14T22:13Z", "2023-11-14T22:13:20.Z",
     "2023-11-14T22:13:20.1.2Z", "2023-11-14T22:13:20+25:00", "2023-11-14T22:13:20+1:00",
     "２023-11-14T22:13:20Z",
     "-023-11-14T22:13:20Z", "2023-11-14 22:13:20Z", "2023-1a-14T22:13:20Z", "x" * 100_000],
)  # fmt: skip
def test_what_is_no_time(text: str) -> None:
    with pytest.raises(InvalidArgument, match="cannot parse"):
        times.parse_time(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("0", 0), ("1s", 10**9), ("1h30m", 5400 * 10**9), ("1.5s", 1_500_000_000), ("-2m", -120 * 10**9),
     ("+3ms", 3_000_000), (".5s", 500_000_000), ("1.s", 10**9), ("4us5ns", 4005), ("4µs", 4000)],
)  # fmt: skip
def test_durations(text: str, expected: int) -> None:
    assert times.parse_duration(text) == expected


@pytest.mark.parametrize(
    "text", ["", "-", "1", "s", "1x", "1.2.3s", "--1s", "1s2", ".s", "1 s", "9" * 30 + "s", "1d"]
)
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(InvalidArgument, match="invalid duration"):
        times.parse_duration(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("0", 0), ("1700000000", 1_700_000_000 * 10**9), ("1700000000.000000001", 1_700_000_000_000_000_001),
     ("1.5", 1_500_000_000)],
)  # fmt: skip
def test_unix_times(text: str, expected: int) -> None:
    assert times.parse_unix(text) == expected


@pytest.mark.parametrize("text", ["", "x", "1.", "1.x", "1e3", "0x1", "9" * 40, "١", "1_000"])
def test_what_is_no_unix_time(text: str) -> None:
    with pytest.raises(InvalidArgument, match="invalid timestamp"):
        times.parse_unix(text)


@pytest.mark.usefixtures("new_york")
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("10m", NOW - 600 * times.SECOND),
        ("0s", NOW),
        ("0", 0),  # the epoch, though it is a duration, too
        ("1700000000.5", 1_700_000_000_500_000_000),
        ("2023-11-14T22:13:20.123456789Z", NOW),
        ("2023-11-14T17:13:20.123456789", NOW),  # local, five hours behind
        ("2023-07-14T18:13:20", 1_689_372_800 * times.SECOND),  # four in summer
        ("2023-11-14T17:13", 1_699_999_980 * times.SECOND),
        ("2023-11-14T17", 1_699_999_200 * times.SECOND),
        ("2023-11-14", 1_699_938_000 * times.SECOND),
    ],
)
def test_what_since_takes(text: str, expected: int) -> None:
    assert times.parse_moment(text, NOW) == expected


@pytest.mark.parametrize("text", ["", "yesterday", "2023-99-99", "2023-11-14T", "1h-2", "--", "\0"])
def test_what_since_refuses(text: str) -> None:
    with pytest.raises(InvalidArgument, match="failed to parse value as time or duration"):
        times.parse_moment(text, NOW)
