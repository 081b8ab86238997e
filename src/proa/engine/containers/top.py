"""`top`: the host's ps, reduced to the container's processes; nothing else shows all of its columns."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING

from proa.engine.records import Container
from proa.errors import Internal, InvalidArgument

if TYPE_CHECKING:
    from proa.engine.containers.containers import Containers

# Options that name another pid column or swallow it would make the filter below wrong (as in Docker).
_PID_OPTION = re.compile(r"\s+([^\s]*)=\s*(PID[^\s]*)")


async def top(containers: Containers, record: Container, ps_args: str) -> tuple[list[str], list[list[str]]]:
    """Return ps's column titles and the rows of this container's processes."""
    containers.connection(record)  # there is one
    arguments = ps_args or "-ef"
    for match in _PID_OPTION.finditer(arguments):
        if match.group(1) != "pid":
            raise InvalidArgument(f"specifying {match.group(1)}={match.group(2)} is not allowed")
    processes = set(await containers.ask(record, "processes"))
    return _parse(await _ps(arguments.split()), processes)


async def _ps(arguments: list[str]) -> str:
    try:
        process = await asyncio.create_subprocess_exec(
            "ps", *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
        )
    except FileNotFoundError:
        raise Internal("top needs the host's ps: install procps") from None
    output, errors = await process.communicate()
    if process.returncode:
        raise InvalidArgument(f"error running ps: {errors.decode(errors='replace').strip()}")
    return output.decode(errors="replace")


def _parse(output: str, processes: set[int]) -> tuple[list[str], list[list[str]]]:
    lines = output.splitlines()
    titles = lines[0].split() if lines else []
    if "PID" not in titles:
        raise InvalidArgument("Couldn't find PID field in ps output")
    column = titles.index("PID")
    rows = []
    for line in lines[1:]:
        fields = line.split(None, len(titles) - 1)
        if len(fields) > column and fields[column].isdecimal() and int(fields[column]) in processes:
            rows.append(fields)
    return titles, rows
