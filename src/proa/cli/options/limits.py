"""`--ulimit` and `--restart`."""

from __future__ import annotations

from proa.errors import InvalidArgument

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from proa.cli.flags import Options

_ULIMITS = frozenset((
    "core", "cpu", "data", "fsize", "locks", "memlock", "msgqueue", "nice", "nofile", "nproc", "rss",
    "rtprio", "rttime", "sigpending", "stack",
))  # fmt: skip


def ulimit(text: str) -> dict[str, Any]:
    """Return the API's form of "nofile=1024:2048". Raises `ValueError` in go-units' words."""
    name, separator, values = text.partition("=")
    if not separator:
        raise ValueError(f"invalid ulimit argument: {text}")
    if name not in _ULIMITS:
        raise ValueError(f"invalid ulimit type: {name}")
    parts = values.split(":")
    if len(parts) > 2:
        raise ValueError(f"too many limit value arguments - {values}, can only have up to two, `soft[:hard]`")
    numbers = [_number(part) for part in parts]
    soft, hard = numbers[0], numbers[-1]
    if hard != -1 and (soft == -1 or soft > hard):
        raise ValueError(f"ulimit soft limit must be less than or equal to hard limit: {soft} > {hard}")
    return {"Name": name, "Soft": soft, "Hard": hard}


def _number(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise ValueError(f'strconv.ParseInt: parsing "{text}": invalid syntax') from None


def ulimits_body(options: Options, body: dict[str, Any]) -> None:
    """The last of several limits with one name counts."""
    by_name = {limit["Name"]: limit for limit in options["ulimit"]}
    body["HostConfig"]["Ulimits"] = [by_name[name] for name in sorted(by_name)]


def restart_body(options: Options, body: dict[str, Any]) -> None:
    policy = restart_policy(options["restart"])
    if options["rm"] and policy["Name"] not in ("", "no"):
        raise InvalidArgument("conflicting options: cannot specify both --restart and --rm")
    body["HostConfig"]["RestartPolicy"] = policy


def restart_policy(text: str) -> dict[str, Any]:
    """Read "on-failure:3". Raises `InvalidArgument`."""
    name, separator, count = text.partition(":")
    if separator and not name:
        raise InvalidArgument("invalid restart policy format: no policy provided before colon")
    if separator and not count.removeprefix("-").isdecimal():
        raise InvalidArgument("invalid restart policy format: maximum retry count must be an integer")
    return {"Name": name, "MaximumRetryCount": int(count or 0)}
