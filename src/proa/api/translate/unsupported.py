"""What Docker's create body can ask for and Proa can not do (yet): refused by name, never ignored."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from proa.api.types.containers import CreateBody
from proa.errors import InvalidArgument, Unsupported

_RESTART_POLICIES = ("no", "always", "on-failure", "unless-stopped")


class _Refusal(NamedTuple):
    option: str  # as users know it
    asked_for: Callable[[CreateBody], object]


_REFUSALS = (
    _Refusal("publishing ports (PortBindings)", lambda body: any(body.host_config.port_bindings.values())),
    _Refusal("publishing all ports (PublishAllPorts)", lambda body: body.host_config.publish_all_ports),
    _Refusal("restart policies (RestartPolicy)", lambda body: _restarts(body)),
    _Refusal("health checks (Healthcheck)", lambda body: _checks_health(body)),
    _Refusal("links (Links)", lambda body: body.host_config.links),
    _Refusal("device requests (DeviceRequests, --gpus)", lambda body: body.host_config.device_requests),
    _Refusal("user namespaces (UsernsMode)", lambda body: body.host_config.userns_mode not in ("", "host")),
    _Refusal("storage options (StorageOpt)", lambda body: body.host_config.storage_opt),
    _Refusal("isolation (Isolation)", lambda body: body.host_config.isolation not in ("", "default")),
    _Refusal("cgroups of containers (Cgroup)", lambda body: body.host_config.cgroup),
    _Refusal("kernel memory limits (KernelMemory)", lambda body: body.host_config.kernel_memory),
    _Refusal("kernel TCP limits (KernelMemoryTCP)", lambda body: body.host_config.kernel_memory_tcp),
    _Refusal("CPU counts (CpuCount)", lambda body: body.host_config.cpu_count),
    _Refusal("CPU percentages (CpuPercent)", lambda body: body.host_config.cpu_percent),
    _Refusal("IOMaximumIOps", lambda body: body.host_config.io_maximum_i_ops),
    _Refusal("IOMaximumBandwidth", lambda body: body.host_config.io_maximum_bandwidth),
)


def refuse(body: CreateBody) -> None:
    """Raise `Unsupported` naming the first option that Proa can not do, `InvalidArgument` for nonsense."""
    _check_restart_policy(body)
    for refusal in _REFUSALS:
        if refusal.asked_for(body):
            raise Unsupported(f"{refusal.option}: not supported yet")


def _restarts(body: CreateBody) -> bool:
    return body.host_config.restart_policy.name not in ("", "no")


def _check_restart_policy(body: CreateBody) -> None:
    policy = body.host_config.restart_policy
    if policy.name and policy.name not in _RESTART_POLICIES:
        raise InvalidArgument(
            f"invalid restart policy: unknown policy '{policy.name}'; "
            "use one of 'no', 'always', 'on-failure', or 'unless-stopped'"
        )
    if policy.maximum_retry_count and policy.name != "on-failure":
        raise InvalidArgument("invalid restart policy: maximum retry count can only be used with 'on-failure'")
    if policy.maximum_retry_count < 0:
        raise InvalidArgument("invalid restart policy: maximum retry count cannot be negative")
    if body.host_config.auto_remove and _restarts(body):
        raise InvalidArgument("can't create 'AutoRemove' container with restart policy")


def _checks_health(body: CreateBody) -> bool:
    """Whether the body itself asks for a check; NONE switches the image's off."""
    check = body.healthcheck
    if not check:
        return False
    return check.test != ["NONE"] and check != type(check)()
