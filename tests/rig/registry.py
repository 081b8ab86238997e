"""A real registry (Debian's docker-registry) on loopback, for one test run."""

from __future__ import annotations

import http.client
import json
import re
import shutil
import signal
import ssl
import subprocess
import time
import urllib.parse
from pathlib import Path
from typing import Any, Self

from rig.images import MEDIA_TYPES, Image
from rig.needs import need

USER, PASSWORD = "proa", "secret"
# bcrypt of PASSWORD: the registry reads no other kind.
HTPASSWD = f"{USER}:$2y$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a\n"


class Registry:
    """A docker-registry process. `address` is host:port, as it stands in a reference."""

    def __init__(
        self,
        directory: Path,
        *,
        password: bool = False,
        auth: dict[str, Any] | None = None,
        certificate: Path | None = None,
        client: Path | None = None,
    ) -> None:
        """`certificate`: a directory with cert.pem and key.pem, for TLS. `client`: another such, of a client; whom
        its authority has not signed is turned away."""
        self.client = client
        self.directory = directory
        self.certificate = certificate
        self.auth = auth
        if password:
            self.auth = {"htpasswd": {"realm": "proa", "path": str(directory / "htpasswd")}}
        self.headers: dict[str, str] = {}  # sent with every request of this object's own
        self.address = ""
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://{self.address}"

    def start(self) -> Self:
        need(shutil.which("docker-registry"), "docker-registry (package docker-registry)")
        self.directory.mkdir(parents=True, exist_ok=True)
        (self.directory / "htpasswd").write_text(HTPASSWD)
        configuration: dict[str, Any] = {
            "version": "0.1",
            "log": {"level": "info", "accesslog": {"disabled": True}},
            "storage": {
                "filesystem": {"rootdirectory": str(self.directory / "data")},
                "delete": {"enabled": True},
                "cache": {"blobdescriptor": "inmemory"},
            },
            "http": {"addr": "127.0.0.1:0"},
        }
        if self.certificate:
            files = {"certificate": self.certificate / "cert.pem", "key": self.certificate / "key.pem"}
            configuration["http"]["tls"] = {name: str(path) for name, path in files.items()}
            if self.client:
                configuration["http"]["tls"]["clientcas"] = [str(self.client / "ca.pem")]
        if self.auth:
            configuration["auth"] = self.auth
        path = self.directory / "config.yml"
        path.write_text(json.dumps(configuration))  # JSON is YAML
        log = self.directory / "log"
        with log.open("wb") as said:
            self._process = subprocess.Popen(
                ["docker-registry", "serve", str(path)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=said,
            )
        deadline = time.monotonic() + 30
        while not (found := re.search(r"listening on (127\.0\.0\.1:\d+)", log.read_text())):
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"docker-registry did not start:\n{log.read_text()}")
            time.sleep(0.01)
        self.address = found[1]
        return self

    def stop(self) -> None:
        if self._process:
            self._process.send_signal(signal.SIGTERM)
            self._process.wait(10)
            self._process = None
        shutil.rmtree(self.directory, ignore_errors=True)

    def push(self, image: Image, repository: str, tag: str) -> Image:
        """Upload an image or an index with everything it names, and tag it. Returns the image."""
        for child in image.children:
            self.push(child, repository, child.digest)
        for identifier, data in image.blobs.items():
            if self.request("HEAD", f"/v2/{repository}/blobs/{identifier}")[0] != 200:
                self._upload(repository, identifier, data)
        self._ok(
            self.request(
                "PUT",
                f"/v2/{repository}/manifests/{tag}",
                image.document,
                {"Content-Type": image.media_type},
            )
        )
        return image

    def manifest(self, repository: str, reference: str) -> dict[str, Any]:
        """The manifest or index that the registry has under a tag or digest."""
        accept = ", ".join(types[kind] for types in MEDIA_TYPES.values() for kind in ("manifest", "index"))
        path = f"/v2/{repository}/manifests/{reference}"
        found: dict[str, Any] = json.loads(self._ok(self.request("GET", path, headers={"Accept": accept})))
        return found

    def blob(self, repository: str, identifier: str) -> bytes:
        return self._ok(self.request("GET", f"/v2/{repository}/blobs/{identifier}"))

    def blob_path(self, identifier: str) -> Path:
        """Where the registry keeps a blob, for tests that damage it."""
        hexadecimal = identifier.removeprefix("sha256:")
        blobs = self.directory / "data/docker/registry/v2/blobs/sha256"
        return blobs / hexadecimal[:2] / hexadecimal / "data"

    def request(
        self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> tuple[int, dict[str, str], bytes]:
        """One request: status, headers (lower case), body."""
        connection = http.client.HTTPConnection(self.address, timeout=60)
        if self.certificate:
            context = ssl.create_default_context(cafile=str(self.certificate / "ca.pem"))
            if self.client:
                context.load_cert_chain(self.client / "cert.pem", self.client / "key.pem")
            connection = http.client.HTTPSConnection(self.address, timeout=60, context=context)
        try:
            connection.request(method, path, body, {**self.headers, **(headers or {})})
            answer = connection.getresponse()
            return answer.status, {key.lower(): value for key, value in answer.getheaders()}, answer.read()
        finally:
            connection.close()

    def _upload(self, repository: str, identifier: str, data: bytes) -> None:
        status, headers, body = self.request("POST", f"/v2/{repository}/blobs/uploads/", b"")
        self._ok((status, headers, body))
        location = urllib.parse.urlsplit(headers["location"])
        target = f"{location.path}?{location.query}&digest={urllib.parse.quote(identifier)}"
        self._ok(self.request("PUT", target, data, {"Content-Type": "application/octet-stream"}))

    @staticmethod
    def _ok(answer: tuple[int, dict[str, str], bytes]) -> bytes:
        status, _, body = answer
        if status >= 300:
            raise RuntimeError(f"registry answered {status}: {body.decode(errors='replace')}")
        return body
