"""`--health-*` and `--no-healthcheck`."""

from __future__ import annotations

from proa.errors import InvalidArgument

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from proa.cli.flags import Options

_TIMES = {
    "health-interval": "Interval",
    "health-timeout": "Timeout",
    "health-start-period": "StartPeriod",
    "health-start-interval": "StartInterval",
}


def health_body(options: Options, body: dict[str, Any]) -> None:
    """Raises `InvalidArgument` for flags that contradict each other."""
    given = any(options.given(flag) for flag in (*_TIMES, "health-cmd", "health-retries"))
    if options["no-healthcheck"]:
        if given:
            raise InvalidArgument("--no-healthcheck conflicts with --health-* options")
        body["Healthcheck"] = {"Test": ["NONE"]}
        return
    check: dict[str, Any] = {}
    if options["health-cmd"]:
        check["Test"] = ["CMD-SHELL", options["health-cmd"]]
    for flag, field in _TIMES.items():
        value = options[flag] or 0
        if value < 0:
            raise InvalidArgument(f"--{flag} cannot be negative")
        if value:
            check[field] = value
    if options["health-retries"] < 0:
        raise InvalidArgument("--health-retries cannot be negative")
    if options["health-retries"]:
        check["Retries"] = options["health-retries"]
    body["Healthcheck"] = check
