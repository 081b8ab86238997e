"""`proa port`."""

from __future__ import annotations

from proa.cli.command import Command
from proa.cli.errors import Failure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from proa.cli.command import Invocation


_HIGHEST = 65535


def _run(invocation: Invocation) -> None:
    container, *wanted = invocation.arguments
    published = invocation.client.get(f"/containers/{container}/json")["NetworkSettings"].get("Ports") or {}
    if wanted:
        number, _, protocol = wanted[0].partition("/")
        _check(number)
        port = f"{number}/{protocol or 'tcp'}"
        if not published.get(port):
            raise Failure(f"Error: No public port '{wanted[0]}' published for {container}")
        invocation.print(*(_host(binding) for binding in published[port]))
        return
    invocation.print(
        *(
            f"{port} -> {_host(binding)}"
            for port in sorted(published, key=_order)
            for binding in published[port] or []
        )
    )


def _check(number: str) -> None:
    if not (number.isascii() and number.isdecimal()):
        problem = "invalid syntax"
    elif int(number) > _HIGHEST:
        problem = "value out of range"
    else:
        return
    raise Failure(f'Error: invalid port ({number}): strconv.ParseUint: parsing "{number}": {problem}')


def _host(binding: dict[str, Any]) -> str:
    address = binding["HostIp"]
    return f"[{address}]:{binding['HostPort']}" if ":" in address else f"{address}:{binding['HostPort']}"


def _order(port: str) -> tuple[int, str]:
    number, _, protocol = port.partition("/")
    return int(number), protocol


COMMAND = Command(_run, "CONTAINER [PRIVATE_PORT[/PROTO]]", least=1, most=2)
