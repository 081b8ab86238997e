"""`proa update`: other limits, restart policies, published ports and egress rules for containers."""

from __future__ import annotations

from proa.cli.command import ANY, Command, each
from proa.cli.options.container_flags import FLAGS
from proa.errors import InvalidArgument

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from proa.cli.command import Invocation

# Flag: the field of the body.
_FIELDS = {
    "blkio-weight": "BlkioWeight", "cpu-period": "CpuPeriod", "cpu-quota": "CpuQuota",
    "cpu-rt-period": "CpuRealtimePeriod", "cpu-rt-runtime": "CpuRealtimeRuntime", "cpu-shares": "CpuShares",
    "cpus": "NanoCpus", "cpuset-cpus": "CpusetCpus", "cpuset-mems": "CpusetMems", "memory": "Memory",
    "memory-reservation": "MemoryReservation", "memory-swap": "MemorySwap", "pids-limit": "PidsLimit",
}  # fmt: skip
_FLAGS = (
    *(flag for flag in FLAGS if flag[0] in _FIELDS),
    ("egress", "", "list", "What the container may reach instead, at once: what run --egress takes"),
    ("restart", "", "string", "When to restart the container after it ends"),
    ("publish-add", "", "list", "Publish a port, at once: what run -p takes"),
    ("publish-rm", "", "list", "Publish a port of the container no more: '80', '53/udp', '8080:80'"),
)


def _ports(invocation: Invocation) -> dict[str, Any]:
    from proa.cli.options.networks import port_bindings

    flags = {"Add": "publish-add", "Remove": "publish-rm"}
    return {key: port_bindings(invocation[flag]) for key, flag in flags.items() if invocation[flag]}


def _run(invocation: Invocation) -> int:
    from proa.cli.options.limits import restart_policy

    given = {field: invocation[flag] for flag, field in _FIELDS.items() if invocation.options.given(flag)}
    body: dict[str, Any] = dict(given)
    if invocation.options.given("restart"):
        body["RestartPolicy"] = restart_policy(invocation["restart"])
    ports = _ports(invocation)
    egress = invocation["egress"]
    if not body and not ports and not egress:
        raise InvalidArgument("you must provide one or more flags when using this command")
    warnings: list[str] = []

    def act(name: str) -> None:
        if body:
            answer = invocation.client.post(f"/containers/{name}/update", body)
            warnings.extend(answer.get("Warnings") or [])
        if ports:
            invocation.client.post(f"/proa/containers/{name}/ports", ports)
        if egress:
            invocation.client.post(f"/proa/containers/{name}/egress", {"Rules": egress})

    code = each(invocation, act)
    for warning in warnings:
        invocation.warn(warning)
    return code


COMMAND = Command(_run, "[OPTIONS] CONTAINER [CONTAINER...]", flags=_FLAGS, least=1, most=ANY)
