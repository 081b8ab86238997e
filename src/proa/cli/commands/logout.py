"""`proa logout`: forget what `login` has kept."""

from __future__ import annotations

from proa.cli.command import Command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from proa.cli.command import Invocation


def _run(invocation: Invocation) -> None:
    from proa.client.credential_store import erase
    from proa.client.credentials import HUB, hostname

    server = invocation.arguments[0] if invocation.arguments else HUB
    host = server if server == HUB else hostname(server)
    servers = [server]
    if server != HUB:  # as they may have been written at some time
        servers += [name for name in (host, f"http://{host}", f"https://{host}") if name != server]
    invocation.print(f"Removing login credentials for {host}")
    problems = erase(servers)
    if len(problems) == len(servers):
        invocation.warn("WARNING: could not erase credentials:")
        for name, problem in problems.items():
            invocation.warn(f"{name}: {problem}")


COMMAND = Command(_run, "[SERVER]", most=1)
