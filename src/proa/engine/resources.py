"""Limits of a container: from options to the resources and rlimits of the OCI runtime specification."""

from __future__ import annotations

import os
import resource
from pathlib import Path
from typing import Any

from proa.engine import devices
from proa.engine.options import ContainerOptions, Resources, ThrottleDevice, Ulimit
from proa.errors import InvalidArgument

MINIMUM_MEMORY = 6 << 20  # bytes; Docker refuses less: nothing could start
_UNITS = {"": 0, "b": 0, "k": 1, "m": 2, "g": 3, "t": 4, "p": 5}  # powers of the base
_MAX_PROCESSORS = 8192  # the kernel's own limit (CONFIG_NR_CPUS)
_CPU_PERIOD = 100_000  # microseconds, the kernel's default


def parse_size(text: str, base: int = 1 << 10) -> int:
    """Return bytes for "64m" and its like (binary units, any case, an optional "b" or "ib" behind).

    Docker reads some sizes, as those of log files, in decimal units: `base` is 1000 then.
    """
    cleaned = text.strip().lower()
    number = cleaned.rstrip("abcdefghijklmnopqrstuvwxyz ")
    unit = cleaned[len(number) :].strip().removesuffix("ib") or ""
    unit = unit.removesuffix("b") if len(unit) > 1 else unit
    if number and unit not in _UNITS:
        raise InvalidArgument(f"invalid suffix: '{unit}'")
    try:
        return int(float(number) * base ** _UNITS[unit])
    except (KeyError, ValueError, OverflowError):
        raise InvalidArgument(f"invalid size: '{text}'") from None


def specification(options: ContainerOptions, privileged: bool) -> dict[str, Any]:
    """Return `linux.resources`; limits that are not set are absent."""
    limits = options.resources
    result: dict[str, Any] = {"devices": devices.rules(options, privileged)}
    parts = {"memory": _memory(limits), "cpu": _cpu(limits), "blockIO": _block_io(limits)}
    result |= {name: part for name, part in parts.items() if part}
    if limits.pids_limit > 0:
        result["pids"] = {"limit": limits.pids_limit}
    return result


def _memory(limits: Resources) -> dict[str, Any]:
    part: dict[str, Any] = {}
    if limits.memory:
        part["limit"] = limits.memory
        part["swap"] = memory_and_swap(limits)
    if limits.memory_reservation:
        part["reservation"] = limits.memory_reservation
    if limits.memory_swappiness >= 0:
        part["swappiness"] = limits.memory_swappiness
    if limits.oom_kill_disable:
        part["disableOOMKiller"] = True
    return part


def memory_and_swap(limits: Resources) -> int:
    """Return the limit of both together; Docker's default is as much swap again. 0 is none."""
    return limits.memory_swap or 2 * limits.memory


def _cpu(limits: Resources) -> dict[str, Any]:
    part: dict[str, Any] = {
        "shares": limits.cpu_shares,
        "period": limits.cpu_period,
        "quota": limits.cpu_quota,
        "realtimePeriod": limits.cpu_realtime_period,
        "realtimeRuntime": limits.cpu_realtime_runtime,
        "cpus": limits.cpuset_cpus,
        "mems": limits.cpuset_mems,
    }
    if limits.nano_cpus:
        part["period"] = _CPU_PERIOD
        part["quota"] = limits.nano_cpus * _CPU_PERIOD // 10**9
    return {key: value for key, value in part.items() if value}


def _block_io(limits: Resources) -> dict[str, Any]:
    part: dict[str, Any] = {}
    if limits.blkio_weight:
        part["weight"] = limits.blkio_weight
    if limits.blkio_weight_device:
        part["weightDevice"] = [
            {**devices.numbers(item.path), "weight": item.weight} for item in limits.blkio_weight_device
        ]
    throttles: dict[str, list[ThrottleDevice]] = {
        "throttleReadBpsDevice": limits.device_read_bps,
        "throttleWriteBpsDevice": limits.device_write_bps,
        "throttleReadIOPSDevice": limits.device_read_iops,
        "throttleWriteIOPSDevice": limits.device_write_iops,
    }
    for key, items in throttles.items():
        if items:
            part[key] = [{**devices.numbers(item.path), "rate": item.rate} for item in items]
    return part


def validate(options: ContainerOptions) -> None:
    """Raise `InvalidArgument` in Docker's words for options that make no sense."""
    validate_limits(options.resources)
    if options.resources.memory == 0 and options.resources.memory_swap > 0:
        raise InvalidArgument("You should always set the Memory limit when using Memoryswap limit, see usage")
    if not -1000 <= options.oom_score_adj <= 1000:
        raise InvalidArgument(f"Invalid value {options.oom_score_adj}, range for oom score adj is [-1000, 1000]")
    rlimits(options.ulimits)


def validate_limits(limits: Resources) -> None:
    """Raise `InvalidArgument` in Docker's words for limits that make no sense, whatever the others are."""
    if 0 < limits.memory < MINIMUM_MEMORY:
        raise InvalidArgument("Minimum memory limit allowed is 6MB")
    if limits.memory > 0 and 0 < limits.memory_swap < limits.memory:
        raise InvalidArgument("Minimum memoryswap limit should be larger than memory limit, see usage")
    if limits.memory_swappiness != -1 and not 0 <= limits.memory_swappiness <= 100:
        raise InvalidArgument(f"Invalid value: {limits.memory_swappiness}, valid memory swappiness range is 0-100")
    if limits.nano_cpus and (limits.cpu_period or limits.cpu_quota):
        raise InvalidArgument(
            "Conflicting options: Nano CPUs and CPU Period cannot both be set"
            if limits.cpu_period
            else "Conflicting options: Nano CPUs and CPU Quota cannot both be set"
        )
    processors = len(os.sched_getaffinity(0))
    if not 0 <= limits.nano_cpus <= processors * 10**9:
        raise InvalidArgument(
            f"range of CPUs is from 0.01 to {processors:.2f}, as there are only {processors} CPUs available"
        )
    _check_set("cpus", limits.cpuset_cpus, "CPUs", "/sys/devices/system/cpu/online")
    _check_set("mems", limits.cpuset_mems, "memory nodes", "/sys/devices/system/node/online")
    if limits.blkio_weight and not 10 <= limits.blkio_weight <= 1000:
        raise InvalidArgument("Range of blkio weight is from 10 to 1000")


def _check_set(kind: str, wanted: str, word: str, source: str) -> None:
    """Refuse processors or memory nodes ("0-3,7"; cpuset(7), "List format") that this host does not have."""
    if not wanted:
        return
    try:
        numbers = _members(wanted)
    except ValueError as error:
        raise InvalidArgument(f"Invalid value {wanted} for cpuset {kind}: {error}") from None
    try:
        available = Path(source).read_text().strip()
    except FileNotFoundError:
        available = "0"  # a kernel without NUMA has one node
    if not numbers <= _members(available):
        raise InvalidArgument(f"Requested {word} are not available - requested {wanted}, available: {available}")


def _members(text: str) -> set[int]:
    members: set[int] = set()
    for part in text.split(","):
        first, dash, last = part.partition("-")
        if not all(each.isascii() and each.isdecimal() for each in (first, last if dash else first)):
            raise ValueError(f"invalid format: {text}")
        low, high = int(first), int(last or first)
        if high > _MAX_PROCESSORS:
            raise ValueError(f"value of out range, maximum is {_MAX_PROCESSORS}")  # Docker's spelling
        if high < low:
            raise ValueError(f"invalid format: {text}")
        members.update(range(low, high + 1))
    return members


def rlimits(ulimits: list[Ulimit]) -> list[dict[str, Any]]:
    """Return the specification's rlimits, not above this process's own hard limits without the right to."""
    result = []
    for item in ulimits:
        name = f"RLIMIT_{item.name.upper()}"
        number = getattr(resource, name, None)
        if number is None:
            raise InvalidArgument(f"invalid ulimit type: {item.name}")
        hard = _capped(item.hard, resource.getrlimit(number)[1])
        result.append({"type": name, "soft": _capped(item.soft, hard), "hard": hard})
    return result


def _capped(value: int, limit: int) -> int:
    """-1 is unlimited on both sides."""
    if limit < 0 or may_raise_limits():
        return value
    return limit if value < 0 else min(value, limit)


def may_raise_limits() -> bool:
    """Whether this process has CAP_SYS_RESOURCE, which raising a hard limit takes (getrlimit(2))."""
    from proa.linux import capabilities

    return bool(capabilities.get()[0] & capabilities.mask(["CAP_SYS_RESOURCE"]))


_NO_OOM_KILLER = (
    "OOM killer is disabled for the container, but no memory limit is set, "
    "this can result in the system running out of resources."
)


def warnings(options: ContainerOptions) -> list[str]:
    """Return what the user asked for and will not get on this host."""
    lowered = []
    for item, limit in zip(options.ulimits, rlimits(options.ulimits), strict=True):
        if (item.soft, item.hard) != (limit["soft"], limit["hard"]):
            lowered.append(
                f"ulimit {item.name}={item.soft}:{item.hard} is above what this engine may set; "
                f"lowered to {limit['soft']}:{limit['hard']}."
            )
    if options.resources.oom_kill_disable and not options.resources.memory:
        lowered.append(_NO_OOM_KILLER)
    return lowered
