"""`proa restart`."""

from __future__ import annotations

from proa.cli.command import ANY, Command
from proa.cli.commands.stop import FLAGS, USAGE, ending

COMMAND = Command(ending("restart"), USAGE, flags=FLAGS, least=1, most=ANY)
