"""`proa events`: what happens in the engine, as it happens."""

from __future__ import annotations

from proa.cli.command import Command
from proa.cli.errors import Failure
from proa.cli.options.filters import FLAG, parameter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from proa.cli.command import Invocation

_FLAGS = (
    FLAG,
    ("format", "", "string", "How to show them ('json' or a Go template)"),
    ("since", "", "string", "Begin with events since a time or for a while"),
    ("until", "", "string", "End at a time or in a while"),
)

# The fields of a message in docker, which shows those as empty that the engine has not sent.
_FIELDS = (
    ("Status", ""), ("ID", ""), ("From", ""), ("Type", ""), ("Action", ""),
    ("Actor", {"ID": "", "Attributes": {}}), ("Scope", ""), ("Time", 0), ("TimeNano", 0),
)  # fmt: skip
_PARSE_FAILED = 64


def _run(invocation: Invocation) -> None:
    from proa.cli.formatting.moments import query_moment

    parameters = parameter(invocation["filter"])
    for flag in ("since", "until"):
        if invocation[flag]:
            parameters[flag] = query_moment(invocation[flag])
    show = _renderer(invocation["format"])
    for event in invocation.client.stream("GET", "/events", parameters):
        invocation.print(show(event))
        invocation.flush()


def _renderer(form: str) -> Callable[[Any], str]:
    if not form:
        return _line
    from proa.templates.lexer import TemplateError
    from proa.templates.template import Template
    from proa.templates.values import Structure, typed

    def message(event: dict[str, Any]) -> Structure:
        return Structure(typed("", event), _FIELDS, "*events.Message")

    try:
        template = Template("{{json .}}" if form == "json" else form)
        template.render(message({}))
    except TemplateError as error:
        raise Failure(f"Error parsing format: {error.message}", _PARSE_FAILED) from None
    return lambda event: template.render(message(event))


def _line(event: dict[str, Any]) -> str:
    """Return "2026-01-02T03:04:05.000000006Z container start 1234 (image=x, name=y)"."""
    from proa.times import format_fixed

    actor = event["Actor"]
    attributes = ", ".join(f"{name}={value}" for name, value in sorted((actor.get("Attributes") or {}).items()))
    text = f"{format_fixed(event['timeNano'])} {event['Type']} {event['Action']} {actor['ID']}"
    return f"{text} ({attributes})" if attributes else text


COMMAND = Command(_run, "[OPTIONS]", flags=_FLAGS)
