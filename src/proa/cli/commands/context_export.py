"""`proa context export`: a context in a tar archive, for another machine."""

from __future__ import annotations

import os
import sys

from proa.cli.command import Command
from proa.cli.contexts import check_name, get
from proa.errors import InvalidArgument

TYPE_CHECKING = False
if TYPE_CHECKING:
    from proa.cli.command import Invocation


def _run(invocation: Invocation) -> None:
    from proa.cli.copying.contexts import packed

    name, *paths = invocation.arguments
    check_name(name)
    path = paths[0] if paths else f"{name}.dockercontext"
    archive = packed(get(invocation, name))
    if path == "-":
        if sys.stdout.isatty():
            raise InvalidArgument("cowardly refusing to export to a terminal, specify a file path")
        sys.stdout.buffer.write(archive)
        return
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as file:
            file.write(archive)
    except OSError as error:
        raise InvalidArgument(f"open {path}: {(error.strerror or 'cannot be written').lower()}") from None
    invocation.warn(f'Written file "{path}"')


COMMAND = Command(_run, "[OPTIONS] CONTEXT [FILE|-]", least=1, most=2)
