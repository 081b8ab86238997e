"""`proa completion bash`."""

from __future__ import annotations

import sys

from proa.cli.command import Command
from proa.cli.completion.scripts import script

TYPE_CHECKING = False
if TYPE_CHECKING:
    from proa.cli.command import Invocation

_FLAGS = (("no-descriptions", "", "", "Show names only"),)


def _run(invocation: Invocation) -> None:
    sys.stdout.write(script("bash", described=not invocation["no-descriptions"]))


COMMAND = Command(_run, flags=_FLAGS)
