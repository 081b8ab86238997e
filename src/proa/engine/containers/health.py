"""A container's health: what the results of its checks mean. `probing.py` runs them.

Rules and defaults are Docker's (Dockerfile reference, HEALTHCHECK): failures in the start period do not
count until a check has succeeded; `retries` failures in a row make a container unhealthy.
"""

from __future__ import annotations

import msgspec

from proa.engine.options import Healthcheck
from proa.engine.records import Health, ProbeResult
from proa.errors import InvalidArgument
from proa.oci.image_config import ImageConfig
from proa.times import SECOND

_INTERVAL = _TIMEOUT = 30 * SECOND
_START_INTERVAL = 5 * SECOND
_RETRIES = 3
_LEAST = SECOND // 1000
_LOGGED = 5  # results
_INHERITED = ("test", "interval", "timeout", "start_period", "start_interval", "retries")
_KINDS = ("NONE", "CMD", "CMD-SHELL")
_SHELL = ["/bin/sh", "-c"]

# Durations of a check: as Docker's messages name them.
_DURATIONS = {
    "interval": "Interval",
    "timeout": "Timeout",
    "start_period": "StartPeriod",
    "start_interval": "StartInterval",
}


def merged(own: Healthcheck | None, config: ImageConfig) -> Healthcheck | None:
    """Return a container's check: what it was given, completed from the image's; None where neither has one."""
    inherited = of_image(config)
    if own is None and inherited is None:
        return None
    own, inherited = own or Healthcheck(), inherited or Healthcheck()
    missing = {name: getattr(inherited, name) for name in _INHERITED if not getattr(own, name)}
    return msgspec.structs.replace(own, shell=config.shell, **missing)


def of_image(config: ImageConfig) -> Healthcheck | None:
    """Return the check that an image declares. Raises `InvalidArgument` for one that is none."""
    if not (declared := config.healthcheck):
        return None
    known = {name: declared.get(_wire_name(name)) for name in _INHERITED}
    try:
        return msgspec.convert({key: value for key, value in known.items() if value}, Healthcheck)
    except msgspec.ValidationError as error:
        raise InvalidArgument(f"invalid Healthcheck in the image's configuration: {error}") from None


def _wire_name(name: str) -> str:
    return _DURATIONS.get(name, name.capitalize())


def examine(check: Healthcheck) -> list[str]:
    """Refuse durations and counts that make no sense, in Docker's words; return warnings."""
    for name, word in _DURATIONS.items():
        if 0 != getattr(check, name) < _LEAST:
            raise InvalidArgument(f"{word} in Healthcheck cannot be less than 1ms")
    if check.retries < 0:
        raise InvalidArgument("Retries in Healthcheck cannot be negative")
    kind = check.test[0] if check.test else "NONE"
    if kind == "NONE" and check.on_failure != "none":
        raise InvalidArgument(
            f"cannot {check.on_failure} an unhealthy container: it has no health check, and its image has none"
        )
    if kind not in _KINDS:
        return [f"The container's health is not checked: unknown healthcheck type '{kind}' (expected 'CMD')"]
    return []


def command(check: Healthcheck) -> list[str]:
    """Return the program that checks, [] for none."""
    kind, *words = check.test or ["NONE"]
    if kind == "CMD":
        return words
    if kind == "CMD-SHELL":
        return [*(check.shell or _SHELL), *words]
    return []


def timeout(check: Healthcheck) -> int:
    """Return how long one check may take, in nanoseconds."""
    return check.timeout or _TIMEOUT


def interval(check: Healthcheck, health: Health, age: int) -> int:
    """Return the nanoseconds until the next check of a container that has run for `age` nanoseconds."""
    if age < check.start_period and health.status == "starting":
        return check.start_interval or _START_INTERVAL
    return check.interval or _INTERVAL


def record(check: Healthcheck, health: Health, result: ProbeResult, started_at: int) -> bool:
    """Take a result into account; return whether the status is another one now."""
    before = health.status
    health.log = [*health.log, result][-_LOGGED:]
    if result.exit_code == 0:
        health.failing_streak, health.status = 0, "healthy"
    elif before != "starting" or result.start - started_at >= check.start_period:
        health.failing_streak += 1
        if health.failing_streak >= (check.retries or _RETRIES):
            health.status = "unhealthy"
    return health.status != before
