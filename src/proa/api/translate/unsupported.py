"""What Docker's create body can ask for and Proa can not do (yet): refused by name, never ignored."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from proa.api.types.containers import CreateBody
from proa.errors import InvalidArgument, Unsupported


class _Refusal(NamedTuple):
    option: str  # as users know it
    asked_for: Callable[[CreateBody], object]


_REFUSALS = (
    _Refusal("device requests (DeviceRequests, --gpus)", lambda body: body.host_config.device_requests),
    _Refusal("user namespaces (UsernsMode)", lambda body: body.host_config.userns_mode not in ("", "host")),
    _Refusal("cgroups of containers (Cgroup)", lambda body: body.host_config.cgroup),
    _Refusal("kernel memory limits (KernelMemory)", lambda body: body.host_config.kernel_memory),
    _Refusal("kernel TCP limits (KernelMemoryTCP)", lambda body: body.host_config.kernel_memory_tcp),
    _Refusal("CPU counts (CpuCount)", lambda body: body.host_config.cpu_count),
    _Refusal("CPU percentages (CpuPercent)", lambda body: body.host_config.cpu_percent),
    _Refusal("IOMaximumIOps", lambda body: body.host_config.io_maximum_i_ops),
    _Refusal("IOMaximumBandwidth", lambda body: body.host_config.io_maximum_bandwidth),
)


def refuse(body: CreateBody) -> None:
    """Raise `Unsupported` naming the first option that Proa can not do."""
    isolation = body.host_config.isolation
    if isolation.lower() not in ("", "default"):
        raise InvalidArgument(f"invalid isolation ({isolation}): linux only supports 'default'")
    for refusal in _REFUSALS:
        if refusal.asked_for(body):
            raise Unsupported(f"{refusal.option}: not supported yet")
