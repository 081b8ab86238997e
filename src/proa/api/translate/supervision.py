"""Restart policies and health checks: from Docker's bodies to the engine's options, and back for `inspect`."""

from __future__ import annotations

from typing import Any, get_args, get_type_hints

import msgspec

from proa import times
from proa.api.types import host_config as wire
from proa.api.types.containers import CreateBody
from proa.engine import options as engine
from proa.engine.records import Health
from proa.errors import InvalidArgument

HEALTH_ON_FAILURE = "org.proa.health-on-failure"  # an annotation or a label: Docker's body has no such field
_RESTART_POLICIES = get_args(get_type_hints(engine.RestartPolicy)["name"])
_HEALTH_ACTIONS = get_args(get_type_hints(engine.Healthcheck)["on_failure"])


def restart_policy(policy: wire.RestartPolicy, *, auto_remove: bool) -> engine.RestartPolicy:
    """Check a restart policy by Docker's rules."""
    name, count = policy.name or "no", policy.maximum_retry_count
    if name not in _RESTART_POLICIES:
        raise InvalidArgument(
            f"invalid restart policy: unknown policy '{name}'; "
            "use one of 'no', 'always', 'on-failure', or 'unless-stopped'"
        )
    if count and name != "on-failure":
        raise InvalidArgument("invalid restart policy: maximum retry count can only be used with 'on-failure'")
    if count < 0:
        raise InvalidArgument("invalid restart policy: maximum retry count cannot be negative")
    if auto_remove and name != "no":
        raise InvalidArgument("can't create 'AutoRemove' container with restart policy")
    return msgspec.convert({"name": name, "maximum_retries": count}, engine.RestartPolicy)


def healthcheck(body: CreateBody, annotations: dict[str, str]) -> engine.Healthcheck | None:
    """Return the check that a body asks for, None for the image's."""
    action = annotations.get(HEALTH_ON_FAILURE) or body.labels.get(HEALTH_ON_FAILURE) or "none"
    if action not in _HEALTH_ACTIONS:
        raise InvalidArgument(
            f'invalid action on a failing health check: "{action}"; use one of {", ".join(_HEALTH_ACTIONS)}'
        )
    given = msgspec.structs.asdict(body.healthcheck) if body.healthcheck else {}
    if not given and action == "none":
        return None
    return msgspec.convert({**given, "on_failure": action}, engine.Healthcheck)


def configuration(check: engine.Healthcheck) -> dict[str, Any]:
    """Return a check as Config has it: only what is set."""
    wire_names = {
        "Test": check.test, "Interval": check.interval, "Timeout": check.timeout,
        "StartPeriod": check.start_period, "StartInterval": check.start_interval, "Retries": check.retries,
    }  # fmt: skip
    return {name: value for name, value in wire_names.items() if value}


def health(found: Health) -> dict[str, Any]:
    """Return what the checks have found as State has it."""
    return {
        "Status": found.status,
        "FailingStreak": found.failing_streak,
        "Log": [
            {
                "Start": times.format_time(result.start),
                "End": times.format_time(result.end),
                "ExitCode": result.exit_code,
                "Output": result.output,
            }
            for result in found.log
        ],
    }
