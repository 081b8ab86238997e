"""Which way packets to published ports take: past the host's own firewall rules, or through them.

    direct      the engine's firewall turns them to the container before routing: rules of the host about INPUT
                never see them (network/port_rules.py)
    host-input  nothing turns them: they come to sockets of this host, which the container's shim holds, by way of
                the host's INPUT rules, and the shim passes on what these let in (shim/relay.py)

A container may say which (a label), else its network (an option), else the engine does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, get_args

from proa.errors import InvalidArgument, Unsupported

if TYPE_CHECKING:
    from collections.abc import Iterable

    from proa.engine.networks.records import Network
    from proa.engine.options import ContainerOptions
    from proa.network.published import Published

Policy = Literal["direct", "host-input"]
POLICIES: tuple[Policy, ...] = get_args(Policy)
NAME = "org.proa.publish-policy"  # of a container's label, and of a network's option


def check(text: str) -> None:
    """Refuse a word that is no policy; "" leaves it to others."""
    if text and text not in POLICIES:
        raise InvalidArgument(f'invalid publish policy: "{text}"; use one of {", ".join(POLICIES)}')


def policy(options: ContainerOptions, network: Network | None, default: str) -> str:
    """Return the policy for a container whose ports lead to its place on `network`."""
    return options.publish_policy or (network.options.get(NAME, "") if network else "") or default


def check_relayed(ports: Iterable[Published]) -> None:
    """Refuse ports that no shim passes on. Raises `Unsupported`."""
    for run in ports:
        if run.protocol == "sctp":
            raise Unsupported(
                f"port {run.port}/sctp can not be published under the publish policy host-input, which passes on "
                "TCP and UDP; use the policy direct for this container"
            )
