"""GET /images/search: what a registry has under a term."""

from __future__ import annotations

from proa.api import credentials
from proa.api.request import Request, Response, json_response
from proa.engine import filtering
from proa.engine.filtering import Filters
from proa.errors import InvalidArgument

ACCEPTED = frozenset({"is-automated", "is-official", "stars"})


async def search(request: Request) -> Response:
    query = request.query
    try:
        limit = query.integer("limit") or 0
    except InvalidArgument as error:
        raise InvalidArgument(f"invalid limit specified: {error.message}") from None
    wanted = query.filters()
    filtering.check(wanted, ACCEPTED)
    automated = filtering.boolean(wanted, "is-automated")
    official = filtering.boolean(wanted, "is-official")
    stars = _least_stars(wanted)
    auth = credentials.for_registry(credentials.decode(request.headers.get("x-registry-auth", "")))
    headers = {name: value for name, value in request.headers.items() if name.startswith("x-meta-")}
    found = await request.engine.registry.search(query.text("term"), limit, auth, headers)
    return json_response([
        {
            "star_count": one.star_count, "is_official": one.is_official, "name": one.name,
            "is_automated": False,  # there have been none since 2022
            "description": one.description,
        }
        for one in found
        if not automated and official in (None, one.is_official) and one.star_count >= stars
    ])  # fmt: skip


def _least_stars(wanted: Filters) -> int:
    """Return how many stars a result must have: the most that a condition asks for."""
    least = 0
    for text in wanted.get("stars", ()):
        digits = text[1:] if text[:1] in ("+", "-") else text
        if not (digits.isascii() and digits.isdecimal()):
            reason = f'strconv.Atoi: parsing "{text}": invalid syntax'
            raise InvalidArgument(f"invalid filter 'stars={text}': {reason}")
        least = max(least, int(text))
    return least
