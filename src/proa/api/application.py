"""What every request passes: its path decoded, its version agreed, its handler found."""

from __future__ import annotations

import time

from proa.api import versions
from proa.api.endpoints import ENDPOINTS
from proa.api.errors import ClientGone, page_not_found
from proa.api.facade import Engine
from proa.api.query import Query, unescape
from proa.api.request import Request, Response
from proa.api.router import Router

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


class Application:
    """Serves the API of one engine."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._router = Router(ENDPOINTS)
        self._date = (0, "")

    def headers(self) -> dict[str, str]:
        """Return what every response carries: clients take the server's API version and system from here."""
        return {
            "Server": versions.SERVER,
            "Api-Version": versions.text(versions.CURRENT),
            "Ostype": "linux",
            "Docker-Experimental": "false",
            "Date": self._http_date(),
        }

    async def __call__(self, request: Request) -> Response | None:
        """Answer one request; raises what `errors.describe` explains."""
        raw_path, _, raw_query = request.target.decode("latin-1").partition("?")
        if not raw_path.startswith("/"):
            if "://" not in raw_path:
                raise page_not_found()
            raw_path = "/" + raw_path.partition("://")[2].partition("/")[2]  # the absolute form (RFC 9112)
        asked, path = versions.split(unescape(raw_path))
        match = self._router.find(request.method, path)
        if match is None:
            if request.method == "OPTIONS":
                return Response(200)
            raise page_not_found()
        request.version = versions.negotiate(asked)
        request.path, request.parameters = path, match.parameters
        request.query = Query(raw_query)
        request.engine = self._engine
        request.abandonable = match.endpoint.abandonable
        if request.abandonable and request.wire.hung_up:
            raise ClientGone
        return await match.endpoint.resolve()(request)

    def _http_date(self) -> str:
        """Return the time as RFC 9110 wants it, made once a second; strftime would follow the locale."""
        now = int(time.time())
        if now != self._date[0]:
            year, month, day, hour, minute, second, weekday = time.gmtime(now)[:7]
            date = f"{_DAYS[weekday]}, {day:02} {_MONTHS[month - 1]} {year}"
            self._date = (now, f"{date} {hour:02}:{minute:02}:{second:02} GMT")
        return self._date[1]
