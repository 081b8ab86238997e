"""GET /containers/{id}/logs: headers at once, then lines as they come."""

from __future__ import annotations

from urllib.parse import quote_plus

from proa import times
from proa.api import framing
from proa.api.errors import ClientGone, describe
from proa.api.facade import LogLine
from proa.api.request import Request
from proa.engine.logs.reading import LogRequest
from proa.errors import InvalidArgument


async def logs(request: Request) -> None:
    query = request.query
    if not (query.flag("stdout") or query.flag("stderr")):
        raise InvalidArgument("Bad parameters: you must choose at least one stream")
    record = request.engine.containers.get(request.name())
    found = request.engine.containers.log_pieces(
        record.id,
        LogRequest(
            stdout=query.flag("stdout"),
            stderr=query.flag("stderr"),
            since=_moment(query.text("since")),
            until=_moment(query.text("until")),
            tail=_tail(query.text("tail")),
            follow=query.flag("follow"),
            timestamps=query.flag("timestamps"),
            details=query.flag("details"),
        ),
    )
    tty = record.options.tty
    prefixes = (query.flag("timestamps"), query.flag("details"))
    stream = await request.wire.begin(200, framing.content_type(tty=tty, version=request.version))
    try:
        async for piece in found:
            texts = ((line.stream, _text(line, *prefixes)) for line in piece)
            # What is there at once is sent at once: a system call for each line would be most of the work.
            await stream.write(b"".join(text if tty else framing.frame(name, text) for name, text in texts))
    except ClientGone:
        raise
    except Exception as error:  # the head is out: the message goes where the user reads
        message = f"Error grabbing logs: {describe(error)[1]}\n".encode()
        await stream.write(message if tty else framing.frame("stderr", message))
    await stream.close()


def _text(line: LogLine, timestamps: bool, details: bool) -> bytes:
    """Return a line behind what was asked for."""
    data = line.line
    if details:
        pairs = (f"{quote_plus(key)}={quote_plus(value)}" for key, value in sorted(line.attributes.items()))
        data = ",".join(pairs).encode() + b" " + data
    return times.format_fixed(line.time).encode() + b" " + data if timestamps else data


def _moment(text: str) -> int | None:
    return times.parse_unix(text) if text not in ("", "0") else None


def _tail(text: str) -> int | None:
    """Return the number of lines; everything that is no number means all of them, as in Docker."""
    return int(text) if text.isascii() and text.isdecimal() else None
