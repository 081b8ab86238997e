"""Limits as data: a version's planner turns OCI `linux.resources` into writes, one function applies them."""

from __future__ import annotations

import errno
import os

from proa.cgroups import files
from proa.errors import InvalidArgument, KernelError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    Write = tuple[str, str, str, str]
    """(controller, control file, value, key of FEATURES: what is lost without the file;
    another word makes a missing file an error)"""

_LOST = "or the cgroup is not mounted."

FEATURES = {
    feature: f"Your kernel does not support {words}"
    for feature, words in {
        "memory": f"memory limit capabilities {_LOST} Limitation discarded.",
        "swap": f"swap limit capabilities {_LOST} Memory limited without swap.",
        "swappiness": f"memory swappiness capabilities {_LOST} Memory swappiness discarded.",
        "reservation": f"memory soft limit capabilities {_LOST} Limitation discarded.",
        "oom_kill_disable": "OomKillDisable. OomKillDisable discarded.",
        "pids": f"PIDs limit capabilities {_LOST} PIDs limit discarded.",
        "shares": f"CPU shares {_LOST} Shares discarded.",
        "cfs": "CPU CFS scheduler. CPU period/quota discarded.",
        "burst": "CPU burst. CPU burst discarded.",
        "idle": "CPU idle cgroups. CPU idle discarded.",
        "realtime": "CPU real-time scheduler. CPU real-time period/runtime discarded.",
        "cpuset": f"cpuset {_LOST} Cpuset discarded.",
        "blkio_weight": f"Block I/O weight {_LOST} Weight discarded.",
        "blkio_weight_device": f"Block I/O weight_device {_LOST} Weight-device discarded.",
        "read_bps": f"BPS Block I/O read limit {_LOST} Block I/O BPS read limit discarded.",
        "write_bps": f"BPS Block I/O write limit {_LOST} Block I/O BPS write limit discarded.",
        "read_iops": f"IOPS Block read limit {_LOST} Block I/O IOPS read limit discarded.",
        "write_iops": f"IOPS Block write limit {_LOST} Block I/O IOPS write limit discarded.",
        "hugepages": f"huge page limits {_LOST} Huge page limit discarded.",
        "rdma": f"RDMA limits {_LOST} RDMA limit discarded.",
        "network": f"network class or priority {_LOST} Network class and priority discarded.",
        "devices": f"the devices cgroup {_LOST} Device rules discarded.",
    }.items()
}
"""What the user reads when this host cannot set a limit: Docker's sentences where it has one
(moby daemon/daemon_unix.go, verifyPlatformContainerResources)."""

WITHOUT_SWAP = ("0", "max", "-1")  # limits of swap that mean nothing where there is no swap accounting

IO_THROTTLES = (
    ("throttleReadBpsDevice", "read_bps", "rbps", "blkio.throttle.read_bps_device"),
    ("throttleWriteBpsDevice", "write_bps", "wbps", "blkio.throttle.write_bps_device"),
    ("throttleReadIOPSDevice", "read_iops", "riops", "blkio.throttle.read_iops_device"),
    ("throttleWriteIOPSDevice", "write_iops", "wiops", "blkio.throttle.write_iops_device"),
)
"""(OCI key, feature, key of v2's io.max, v1's file)"""


def part(resources: dict[str, Any], name: str) -> dict[str, Any]:
    """Return a section of `linux.resources`; absent and null are the same."""
    return resources.get(name) or {}


def check_range(name: str, value: int, low: int, high: int) -> int:
    if not low <= value <= high:
        raise InvalidArgument(f"invalid {name} value: {value} (valid range is {low}-{high})")
    return value


def check_shares(shares: int) -> int:
    """The kernel would clamp silently: a limit that is not what was asked for is an error (as in runc)."""
    if shares < 2:
        raise InvalidArgument("the minimum allowed cpu-shares is 2")
    if shares > 262144:
        raise InvalidArgument("the maximum allowed cpu-shares is 262144")
    return shares


def plan_common(resources: dict[str, Any]) -> list[Write]:
    """Return the writes that are the same on both versions."""
    writes: list[Write] = []
    if limit := part(resources, "pids").get("limit"):
        writes.append(("pids", "pids.max", str(limit) if limit > 0 else "max", "pids"))
    for device, limits in part(resources, "rdma").items():
        words = (("hcaHandles", "hca_handle"), ("hcaObjects", "hca_object"))
        values = [f"{word}={limits[key]}" for key, word in words if limits.get(key) is not None]
        writes.append(("rdma", "rdma.max", " ".join([device, *values]), "rdma"))
    return writes


def apply(writes: list[Write], locate: Callable[[str], str | None]) -> list[str]:
    """Write each limit below its controller's directory; return warnings for what this host does not have.

    Some limits bound each other (memory and memory+swap, period and quota), so what order the kernel
    accepts depends on the present values: a refused one is tried again after all the others.
    """
    warnings: dict[str, None] = {}
    refused = []
    for write in writes:
        controller, file, value, feature = write
        directory = locate(controller)
        if directory is None:
            warnings[FEATURES[feature]] = None
            continue
        try:
            files.write(f"{directory}/{file}", value)
        except FileNotFoundError as error:
            if not os.path.isdir(directory):
                raise
            if feature not in FEATURES:
                raise _explained(directory, file, value, error) from error
            if not (feature == "swap" and value in WITHOUT_SWAP):
                warnings[FEATURES[feature]] = None
        except OSError as error:
            if error.errno == errno.EOPNOTSUPP and feature in FEATURES:
                warnings[FEATURES[feature]] = None  # the file is there, the device's scheduler has no weights
                continue
            if error.errno != errno.EINVAL:
                raise _explained(directory, file, value, error) from error
            refused.append((directory, file, value))
    for directory, file, value in refused:
        try:
            files.write(f"{directory}/{file}", value)
        except OSError as error:
            raise _explained(directory, file, value, error) from error
    return list(warnings)


def _explained(directory: str, file: str, value: str, error: OSError) -> KernelError | InvalidArgument:
    if file == "memory.limit_in_bytes" and error.errno == errno.EBUSY:
        usage = files.number(f"{directory}/memory.usage_in_bytes")
        peak = files.number(f"{directory}/memory.max_usage_in_bytes")
        return InvalidArgument(
            f"unable to set memory limit to {value} (current usage: {usage}, peak usage: {peak})"
        )
    return KernelError(f"set {file} of cgroup {directory} to {value!r}", error.errno or errno.EIO)
