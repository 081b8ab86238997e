"""`proa search`."""

from __future__ import annotations

from proa.cli.command import Command
from proa.cli.formatting.listing import Listing
from proa.cli.formatting.tables import ellipsis
from proa.cli.options.filters import FLAG, parameter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from proa.cli.command import Invocation

_FLAGS = (
    FLAG,
    ("format", "", "string", "How to show them ('table', 'table TEMPLATE', 'json' or a Go template)"),
    ("limit", "", "int", "How many to show at most"),
    ("no-trunc", "", "", "Do not cut anything off"),
)
_DESCRIPTION_LENGTH = 45
_JSON = ("json", "{{json .}}")


def _listing(truncate: bool, json: bool) -> Listing:
    def description(found: Any) -> str:
        text = found["description"].replace("\n", " ").replace("\r", " ")
        return ellipsis(text, _DESCRIPTION_LENGTH) if truncate else str(text)

    yes, no = ("true", "false") if json else ("[OK]", "")
    return Listing(
        "*registry.searchContext",
        {
            "Name": ("NAME", lambda found: found["name"]),
            "Description": ("DESCRIPTION", description),
            "StarCount": ("STARS", lambda found: str(found["star_count"])),
            "IsOfficial": ("OFFICIAL", lambda found: yes if found["is_official"] else no),
        },
        ("Name", "Description", "StarCount", "IsOfficial"),
    )


def _run(invocation: Invocation) -> None:
    from proa.client.credentials import registry_auth
    from proa.client.wire import decode

    term = invocation.arguments[0]
    if any(name == "is-automated" for name, _ in invocation["filter"]):
        invocation.warn(
            'WARNING: the "is-automated" filter is deprecated, and searching for "is-automated=true" will not '
            "yield any results in future."
        )
    domain, slash, _ = term.partition("/")
    has_domain = slash and ("." in domain or ":" in domain or domain == "localhost")
    parameters = {"term": term, **parameter(invocation["filter"])}
    if invocation["limit"] > 0:
        parameters["limit"] = str(invocation["limit"])
    headers = {"X-Registry-Auth": registry_auth(domain if has_domain else "docker.io") or "e30="}
    client = invocation.client
    found = decode(client.read(client.request("GET", "/images/search", parameters, headers=headers))) or []
    form = invocation["format"]
    invocation.print(*_listing(not invocation["no-trunc"], form in _JSON).lines(found, form))


COMMAND = Command(_run, "[OPTIONS] TERM", flags=_FLAGS, least=1, most=1)
