"""The token server of a registry that wants bearer tokens: checks a password, signs what it allows.

As the distribution project's token specification has it: the registry's 401 names this server, which
answers a request with the right password with a JSON web token (RS256) for the scope that was asked for.
"""

from __future__ import annotations

import base64
import hashlib
import json
import subprocess
import threading
import time
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

from rig.registry import PASSWORD, USER

ISSUER, SERVICE = "proa-tests", "proa-registry"


def _plain(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class TokenServer:
    """`configuration` is what the registry wants under `auth`."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._key = directory / "key.pem"
        self._certificate = directory / "certificate.pem"
        self._server: ThreadingHTTPServer | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> Self:
        self.directory.mkdir()
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=proa-tests",
             "-keyout", str(self._key), "-out", str(self._certificate)],
            check=True, capture_output=True,
        )  # fmt: skip
        tokens = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                tokens._answer(self)

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})
        self._thread.start()
        return self

    def stop(self) -> None:
        assert self._server and self._thread
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def configuration(self) -> dict[str, Any]:
        assert self._server
        realm = f"http://127.0.0.1:{self._server.server_address[1]}/token"
        bundle = str(self._certificate)
        return {"token": {"realm": realm, "service": SERVICE, "issuer": ISSUER, "rootcertbundle": bundle}}

    def token(self, repository: str, actions: list[str]) -> str:
        """A signed permission to do `actions` to `repository`."""
        return self._signed([{"type": "repository", "name": repository, "actions": actions}])

    def _signed(self, access: list[dict[str, Any]]) -> str:
        certificate = "".join(self._certificate.read_text().split("-----")[2].split())
        head = {"typ": "JWT", "alg": "RS256", "x5c": [certificate]}
        now = int(time.time())
        claims = {
            "iss": ISSUER, "aud": SERVICE, "sub": USER, "nbf": now - 10, "iat": now, "exp": now + 300,
            "jti": hashlib.sha256(repr((now, access)).encode()).hexdigest(),
            "access": access,
        }  # fmt: skip
        signed = ".".join(_plain(json.dumps(part).encode()) for part in (head, claims))
        command = ["openssl", "dgst", "-sha256", "-sign", str(self._key)]
        signature = subprocess.run(command, input=signed.encode(), capture_output=True, check=True).stdout
        return f"{signed}.{_plain(signature)}"

    def _answer(self, request: BaseHTTPRequestHandler) -> None:
        query = urllib.parse.parse_qs(urllib.parse.urlsplit(request.path).query)
        expected = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        allowed = request.headers.get("Authorization") == expected
        status, body = 200, {"token": self._signed([])}
        if not allowed and "Authorization" in request.headers:
            status, body = 401, {"details": "incorrect username or password"}
        elif allowed:
            scopes = [scope.split(":") for scope in query.get("scope", [])]
            access = [{"type": kind, "name": name, "actions": words.split(",")} for kind, name, words in scopes]
            body = {"token": self._signed(access)}
        data = json.dumps(body).encode()
        request.send_response(status)
        request.send_header("Content-Type", "application/json")
        request.send_header("Content-Length", str(len(data)))
        request.end_headers()
        request.wfile.write(data)
