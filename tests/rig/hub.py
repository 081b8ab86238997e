"""A server that stands in for Docker Hub's search.

It is not a real one because there is none to run: the distribution project's registry (docker-registry) never had
a search. What it is asked is the request that dockerd 28.5 was seen to make, what it answers has the fields of
Docker Hub's answers.
"""

from __future__ import annotations

import json
import threading
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

RESULTS: list[dict[str, Any]] = [
    {"name": "box", "description": "The box\nof all boxes, and a text that is too long for a table",
     "star_count": 30, "is_official": True, "is_automated": False},
    {"name": "team/box", "description": "", "star_count": 4, "is_official": False, "is_automated": True},
    {"name": "other/box", "description": "small", "star_count": 0, "is_official": False, "is_automated": False},
]  # fmt: skip


class Hub:
    """`with Hub() as hub`: search for "{hub.address}/box"; `asked` has the queries and headers that came."""

    def __init__(self, status: int = 200, body: bytes = b"") -> None:
        """`status` and `body` are what a search is answered with, `RESULTS` unless told."""
        self.asked: list[tuple[dict[str, str], dict[str, str]]] = []
        hub = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                parts = urllib.parse.urlsplit(self.path)
                if parts.path != "/v1/search":  # the ping, which only shows that somebody is there
                    hub._answer(self, 404, b"")
                    return
                headers = {name.lower(): text for name, text in self.headers.items()}
                hub.asked.append((dict(urllib.parse.parse_qsl(parts.query, keep_blank_values=True)), headers))
                hub._answer(self, status, body or json.dumps({"num_results": 3, "results": RESULTS}).encode())

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @staticmethod
    def _answer(request: BaseHTTPRequestHandler, status: int, body: bytes) -> None:
        request.send_response(status)
        request.send_header("Content-Type", "application/json")
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        request.wfile.write(body)
