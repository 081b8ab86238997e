"""Health checks: merging with the image's, defaults, and what results mean."""

from __future__ import annotations

from typing import Any

import pytest

from proa.engine.containers import health
from proa.engine.options import Healthcheck
from proa.engine.records import Health, ProbeResult
from proa.errors import InvalidArgument
from proa.oci.image_config import ImageConfig
from proa.times import SECOND

MINUTE = 60 * SECOND


def image(check: dict[str, Any] | None = None, shell: list[str] | None = None) -> ImageConfig:
    config = {"Healthcheck": check, "Shell": shell}
    return ImageConfig({"os": "linux", "rootfs": {"type": "layers", "diff_ids": []}, "config": config})


def result(code: int, start: int = 0) -> ProbeResult:
    return ProbeResult(start=start, end=start + 1, exit_code=code, output="")


@pytest.mark.parametrize(
    ("own", "declared", "command"),
    [
        (None, None, None),
        (None, {"Test": ["CMD", "true"]}, ["true"]),
        (None, {"Test": ["NONE"]}, []),
        (Healthcheck(test=["NONE"]), {"Test": ["CMD", "true"]}, []),
        (Healthcheck(test=["CMD-SHELL", "exit 1"]), {"Test": ["CMD", "true"]}, ["/bin/sh", "-c", "exit 1"]),
        (Healthcheck(interval=SECOND), {"Test": ["CMD", "true"], "Interval": MINUTE}, ["true"]),
        (Healthcheck(), None, []),
        (Healthcheck(test=["DANCE"]), None, []),
    ],
)
def test_merging(own: Healthcheck | None, declared: dict[str, Any] | None, command: list[str] | None) -> None:
    merged = health.merged(own, image(declared))
    assert (None if merged is None else health.command(merged)) == command
    if merged and own and own.interval:
        assert merged.interval == own.interval


def test_the_shell_of_the_image_is_used() -> None:
    merged = health.merged(Healthcheck(test=["CMD-SHELL", "a b"]), image(shell=["/bin/ash", "-ec"]))
    assert merged is not None
    assert health.command(merged) == ["/bin/ash", "-ec", "a b"]


@pytest.mark.parametrize("declared", [{"Test": "CMD true"}, {"Test": [1]}, {"Interval": "1s"}, {"Retries": 1.5}])
def test_an_image_with_nonsense_is_refused(declared: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgument, match="Healthcheck"):
        health.merged(None, image(declared))


@pytest.mark.parametrize(
    ("check", "message"),
    [
        (Healthcheck(interval=999_999), "Interval in Healthcheck cannot be less than 1ms"),
        (Healthcheck(timeout=-1), "Timeout in Healthcheck cannot be less than 1ms"),
        (Healthcheck(start_period=1), "StartPeriod in Healthcheck cannot be less than 1ms"),
        (Healthcheck(start_interval=1), "StartInterval in Healthcheck cannot be less than 1ms"),
        (Healthcheck(retries=-1), "Retries in Healthcheck cannot be negative"),
    ],
)
def test_nonsense_is_refused(check: Healthcheck, message: str) -> None:
    with pytest.raises(InvalidArgument) as raised:
        health.examine(check)
    assert raised.value.message == message


def test_an_unknown_kind_of_test_is_warned_of() -> None:
    assert "unknown healthcheck type 'DANCE'" in health.examine(Healthcheck(test=["DANCE", "x"]))[0]
    assert health.examine(Healthcheck(test=["CMD", "x"])) == []


def test_failures_in_a_row_make_unhealthy_and_one_success_heals() -> None:
    check, found = Healthcheck(test=["CMD", "x"], retries=2), Health()
    changes = [health.record(check, found, result(code), 0) for code in (1, 1, 1, 0, 1)]
    assert changes == [False, True, False, True, False]
    assert (found.status, found.failing_streak) == ("healthy", 1)
    assert [each.exit_code for each in found.log] == [1, 1, 1, 0, 1]
    health.record(check, found, result(-1), 0)
    assert (found.status, len(found.log)) == ("unhealthy", 5)


def test_failures_while_starting_do_not_count_until_one_check_succeeds() -> None:
    check, found = Healthcheck(test=["CMD", "x"], retries=1, start_period=MINUTE), Health()
    assert not health.record(check, found, result(1, SECOND), 0)
    assert (found.status, found.failing_streak) == ("starting", 0)
    assert health.record(check, found, result(0, 2 * SECOND), 0)
    assert health.record(check, found, result(1, 3 * SECOND), 0)
    assert found.status == "unhealthy"
    late = Health()
    assert health.record(check, late, result(1, 2 * MINUTE), 0)


@pytest.mark.parametrize(
    ("check", "status", "age", "seconds"),
    [
        (Healthcheck(), "starting", 0, 30),
        (Healthcheck(interval=MINUTE), "healthy", 0, 60),
        (Healthcheck(start_period=MINUTE), "starting", 0, 5),
        (Healthcheck(start_period=MINUTE, start_interval=SECOND), "starting", 0, 1),
        (Healthcheck(start_period=MINUTE, start_interval=SECOND), "healthy", 0, 30),
        (Healthcheck(start_period=MINUTE, start_interval=SECOND), "starting", 2 * MINUTE, 30),
    ],
)
def test_intervals(check: Healthcheck, status: Any, age: int, seconds: int) -> None:
    assert health.interval(check, Health(status=status), age) == seconds * SECOND
