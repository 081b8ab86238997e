"""One request as bytes, and how it is sent: whole, in pieces, in chunks, cut off, half-closed."""

from __future__ import annotations

import gzip
import io
import json
import random
import tarfile
import urllib.parse
from collections.abc import Callable
from typing import Any, NamedTuple

from rig.fuzzing import hints
from rig.fuzzing.fence import Fence
from rig.fuzzing.values import Values

JSON = "application/json"
# Streams without end, and answers that wait for something: read for a moment, then left.
_ENDLESS = {
    "/events",
    "/containers/{name}/wait",
    "/containers/{name}/attach",
    "/containers/{name}/attach/ws",
    "/exec/{name}/start",
    "/containers/{name}/logs",
    "/containers/{name}/stats",
}
# What there is little behind, or what takes away what others need: asked for less often.
_RARE = {
    "swarm": 0.05,
    "plugins": 0.05,
    "nodes": 0.02,
    "services": 0.02,
    "tasks": 0.02,
    "secrets": 0.02,
    "configs": 0.02,
    "build": 0.2,
    "session": 0.1,
    "grpc": 0.1,
    "proa": 0.1,
    "distribution": 0.2,
    "auth": 0.2,
    "system": 0.4,
}
_RARE_PATHS = {"/containers/prune": 0.15, "/images/prune": 0.1, "/volumes/prune": 0.2}
_FREQUENT = {
    "/containers/create": 6.0,
    "/containers/{name}/start": 6.0,
    "/containers/{name}/exec": 3.0,
    "/exec/{name}/start": 3.0,
}


class Shot(NamedTuple):
    """`pieces` are sent one after the other; then the sending side is closed with `half_close`.

    `complete`: whether it is a whole request, so that an answer must come. `patience`: seconds that the answer is
    read; for what is `endless`, it is left after that. `pause`: seconds between pieces.
    """

    method: str
    path: str  # as the description has it
    target: str
    pieces: list[bytes]
    half_close: bool = False
    complete: bool = True
    endless: bool = False
    vanish: bool = False  # leave without reading
    pause: float = 0.0

    def __str__(self) -> str:
        return f"{self.method} {self.target}\n{b''.join(self.pieces)[:3000]!r}"


class Shooter:
    """Makes shots. `names(noun)` returns a name of something that is there, or was."""

    def __init__(
        self,
        chance: random.Random,
        description: dict[str, Any],
        fence: Fence,
        names: Callable[[str], str],
    ) -> None:
        self._chance = chance
        self._values = Values(chance, description["components"]["schemas"])
        self._fence = fence
        self._names = names
        self._versions = description["servers"][0]["variables"]["version"]["enum"]
        self._operations = [
            (path, method.upper(), operation)
            for path, methods in description["paths"].items()
            for method, operation in methods.items()
        ]
        self._weights = [
            _RARE.get(path.split("/")[1], 1.0)
            * _RARE_PATHS.get(path, 1.0)
            * _FREQUENT.get(path, 1.0)
            * (1.0 if len(operation["responses"]) > 1 else 0.05)  # else it is always refused
            for path, _, operation in self._operations
        ]

    def shot(self) -> Shot:
        """Make the next one."""
        path, method, operation = self._chance.choices(self._operations, self._weights)[0]
        target = self._version() + self._path(path) + self._query(operation)
        headers = {"Host": "docker", **self._headers(operation)}
        media, body = self._body(path, operation)
        if media:
            headers["Content-Type"] = media
        if path.endswith(("/attach", "/exec/{name}/start")) and self._chance.random() < 0.7:
            headers |= {"Connection": "Upgrade", "Upgrade": "tcp"}
        if path.endswith("/ws") and self._chance.random() < 0.8:
            headers |= {
                "Connection": "Upgrade",
                "Upgrade": "websocket",
                "Sec-WebSocket-Version": "13",
                "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
            }
        made = self._framed(Shot(method, path, target, [], endless=path in _ENDLESS), headers, body)
        if self._chance.random() < 0.03:
            made = made._replace(vanish=True)
        return made

    # What is asked for

    def _version(self) -> str:
        if self._chance.random() < 0.03:
            return "/v" + self._chance.choice(["1.0", "9.9", "1", "1.", "..", "1.44.1", "01.044"])
        return self._chance.choice(["", *(f"/v{version}" for version in self._versions)])

    def _path(self, path: str) -> str:
        if "{name}" not in path:
            return path
        noun = path.split("/")[1]
        name = self._names(noun) if self._chance.random() < 0.93 else self._values.text()
        return path.replace("{name}", urllib.parse.quote(name, safe="/:@" if self._chance.random() < 0.5 else ""))

    def _query(self, operation: dict[str, Any]) -> str:
        pairs = []
        for parameter in operation["parameters"]:
            likely = (
                0.9 if parameter.get("required") else 0.02 if parameter["description"] == "Not supported" else 0.45
            )
            if parameter["in"] == "query" and self._chance.random() < likely:
                pairs += [(parameter["name"], text) for text in self._texts(parameter)]
        if self._values.odd():
            pairs.append((self._values.text(), self._values.text()))
        self._chance.shuffle(pairs)
        return "?" + urllib.parse.urlencode(pairs, errors="replace") if pairs else ""

    def _texts(self, parameter: dict[str, Any]) -> list[str]:
        name = parameter["name"]
        if name == "filters":
            return [self._filters(parameter["content"][JSON]["schema"])]
        schema = parameter["schema"]
        count = self._chance.choice((0, 1, 2, 4)) if schema["type"] == "array" else 1
        return [self._fence.query(name, self._text(name, schema)) for _ in range(count)]

    def _text(self, name: str, schema: dict[str, Any]) -> str:
        if self._values.odd():
            return self._values.text()
        if schema["type"] == "boolean":
            return self._chance.choice(("1", "0", "true", "false", "", "x"))
        if name == "container":
            return self._names("containers")
        if name == "name":
            return f"n{self._chance.randrange(30)}"
        if words := hints.QUERY.get(name):
            return self._chance.choice(words)
        if schema.get("enum"):
            return str(self._chance.choice(schema["enum"]))
        return str(self._chance.choice(hints.ODD_NUMBERS)) if schema["type"] == "integer" else self._values.text()

    def _filters(self, schema: dict[str, Any]) -> str:
        if self._values.odd():
            return self._chance.choice(
                ("x", "[]", "null", "{", '{"a":1}', '{"label":[1]}', '{"x":{"y":1}}', "[" * 500)
            )
        keys = self._chance.sample(sorted(schema["properties"]), min(2, len(schema["properties"])))
        found: dict[str, Any] = {}
        for key in keys[: self._chance.choice((1, 1, 2))]:
            words = hints.FILTERS.get(key) or (self._names("containers"), "busybox", "x", "")
            found[key] = [self._chance.choice(words)]
            if self._chance.random() < 0.3:
                found[key] = {self._chance.choice(words): self._chance.random() < 0.8}
        return json.dumps(found)

    def _headers(self, operation: dict[str, Any]) -> dict[str, str]:
        headers = {
            parameter["name"]: self._chance.choice(hints.QUERY[parameter["name"]])
            for parameter in operation["parameters"]
            if parameter["in"] == "header" and self._chance.random() < 0.5
        }
        if self._values.odd():
            headers[
                self._chance.choice(["X-Odd", "Accept", "Accept-Encoding", "Range", "User-Agent", "Cookie"])
            ] = self._chance.choice(["x" * 3000, "gzip", "*/*", "", "a, b;q=0", "bytes=0-1"])
        return headers

    def _body(self, path: str, operation: dict[str, Any]) -> tuple[str, bytes]:
        """Return media type and bytes."""
        content = operation.get("requestBody", {}).get("content", {})
        if not content:
            return ("", b"") if not self._values.odd() else (JSON, b'{"x":1}')
        media, described = next(iter(content.items()))
        if media != JSON:
            return media, self._archive()
        name = described["schema"]["$ref"].rpartition("/")[2]
        document = self._fence.tame(self._values.body(name, self._base(path), self._chance.choice((0, 1, 3, 8))))
        data = json.dumps(document, ensure_ascii=self._chance.random() < 0.9).encode(errors="replace")
        if self._values.odd():
            data = self._chance.choice(
                (
                    b"",
                    b"null",
                    b"[]",
                    b"{}",
                    data[: len(data) // 2],
                    data + data,
                    b"\xff" + data,
                    b" \n" + data,
                    b"x",
                    b"[" * 3000,
                    b'{"Image":' * 2000,
                )
            )
        if self._values.odd():
            media = self._chance.choice(
                ("text/plain", "", "application/json; charset=utf-8", "APPLICATION/JSON", "x/y")
            )
        return media, data

    def _base(self, path: str) -> dict[str, Any]:
        if path == "/containers/create":
            return {
                "Image": "busybox",
                "Cmd": self._chance.choice(hints.COMMANDS),
                "Tty": self._chance.random() < 0.2,
                "OpenStdin": self._chance.random() < 0.3,
                "HostConfig": {
                    "NetworkMode": self._chance.choice(("none", "none", "bridge")),
                    "AutoRemove": self._chance.random() < 0.1,
                }
                | self._host_config(),
            }
        if path.endswith("/exec"):
            return {
                "Cmd": self._chance.choice(hints.COMMANDS),
                "AttachStdout": True,
                "AttachStdin": self._chance.random() < 0.3,
                "Tty": self._chance.random() < 0.3,
            }
        return {}

    def _host_config(self) -> dict[str, Any]:
        return self._values.body("HostConfig", {}, self._chance.choice((0, 0, 1, 2, 4)))

    def _archive(self) -> bytes:
        out = io.BytesIO()
        with tarfile.open(
            fileobj=out, mode="w", format=self._chance.choice((tarfile.PAX_FORMAT, tarfile.GNU_FORMAT))
        ) as made:
            for name in self._chance.sample(
                ("a", "d/b", "../../up", "/abs", "x" * 200, "etc/passwd", "l/f", ".", "ü"), 4
            ):
                entry = tarfile.TarInfo(name)
                entry.type = self._chance.choice(
                    (tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.FIFOTYPE, tarfile.LNKTYPE)
                )
                entry.linkname = self._chance.choice(("a", "../../..", "/", "nosuch", "/etc"))
                entry.size = self._chance.choice((0, 10, 70_000)) if entry.type == tarfile.REGTYPE else 0
                made.addfile(entry, io.BytesIO(b"x" * entry.size))
        data = out.getvalue()
        return self._chance.choice(
            (data, data, data, gzip.compress(data), data[:700], b"", b"junk" * 300, gzip.compress(data)[:90])
        )

    # How it is sent

    def _framed(self, shot: Shot, headers: dict[str, str], body: bytes) -> Shot:
        way = self._chance.random()
        version = "1.0" if way < 0.03 else "1.1"
        if body and way > 0.75 and version == "1.1":
            headers["Transfer-Encoding"] = "chunked"
            payload = self._chunks(body)
        else:
            payload = [body]
            if body or shot.method in ("POST", "PUT"):
                headers["Content-Length"] = str(len(body))
        if self._values.odd():
            headers["Expect"] = "100-continue"
        if self._chance.random() < 0.1:
            headers.setdefault("Connection", "close")
        lines = [
            f"{shot.method} {shot.target} HTTP/{version}",
            *(f"{name}: {value}" for name, value in headers.items()),
        ]
        head = "\r\n".join([*lines, "", ""]).encode("latin-1", "replace")
        pieces = [head, *payload]
        if self._chance.random() < 0.04:  # cut off somewhere
            whole = b"".join(pieces)
            cut = self._chance.randrange(1, len(whole))
            return shot._replace(pieces=[whole[:cut]], half_close=self._chance.random() < 0.7, complete=False)
        if self._chance.random() < 0.05:
            shot = shot._replace(pause=0.02)
        return shot._replace(pieces=pieces, half_close=self._chance.random() < 0.15)

    def _chunks(self, body: bytes) -> list[bytes]:
        pieces = []
        while body:
            size = self._chance.choice((1, 7, 100, 5000, len(body)))
            extension = b";x=y" if self._chance.random() < 0.1 else b""
            piece, body = body[:size], body[size:]
            pieces.append(b"%x%b\r\n%b\r\n" % (len(piece), extension, piece))
            if len(pieces) > 40:
                pieces.append(b"%x\r\n%b\r\n" % (len(body), body) if body else b"")
                break
        if self._values.odd():
            pieces.append(b"zz\r\n")
        return [*pieces, b"0\r\n\r\n" if self._chance.random() < 0.9 else b"0\r\nX-Trailer: y\r\n\r\n"]
