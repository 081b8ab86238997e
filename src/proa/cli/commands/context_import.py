"""`proa context import`: a context that `context export` wrote, or one in a zip archive."""

from __future__ import annotations

import sys

from proa.cli.command import Command
from proa.cli.contexts import check_new_name, store
from proa.cli.copying.contexts import LARGEST, unpacked
from proa.errors import Conflict, InvalidArgument

TYPE_CHECKING = False
if TYPE_CHECKING:
    from proa.cli.command import Invocation


def _run(invocation: Invocation) -> None:
    name, path = invocation.arguments
    check_new_name(name)
    contexts = store()
    if contexts.exists(name):
        raise Conflict(f'context "{name}" already exists')
    contexts.save(unpacked(_archive(path), name))
    invocation.print(name)
    invocation.warn(f'Successfully imported context "{name}"')


def _archive(path: str) -> bytes:
    try:
        if path == "-":
            data = sys.stdin.buffer.read(LARGEST + 1)
        else:
            with open(path, "rb") as file:  # noqa: PTH123 (pathlib costs 8 ms)
                data = file.read(LARGEST + 1)
    except OSError as error:
        raise InvalidArgument(f"open {path}: {(error.strerror or 'cannot be read').lower()}") from None
    if len(data) > LARGEST:
        raise InvalidArgument(f"read: exceeded limit of {LARGEST} bytes")
    return data


COMMAND = Command(_run, "CONTEXT FILE|-", least=2, most=2)
