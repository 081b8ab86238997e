"""A certificate authority for tests, and certificates that it signs."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from rig.needs import need

_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


class Authority:
    """An authority of its own in `directory`, which holds its ca.pem."""

    def __init__(self, directory: Path) -> None:
        need(shutil.which("openssl"), "openssl")
        directory.mkdir(parents=True, exist_ok=True)
        self.directory = directory
        self.certificate = directory / "ca.pem"
        self._key = directory / "ca-key.pem"
        _openssl(
            "req", "-x509", *_KEY, "-keyout", self._key, "-out", self.certificate, "-days", "2",
            "-subj", f"/CN=authority of {directory.name}",
        )  # fmt: skip

    def issue(self, name: str, usage: str) -> Path:
        """Return a directory like docker's: ca.pem, cert.pem and key.pem, for `usage` "server" or "client"."""
        made = self.directory / name
        made.mkdir()
        request, extensions = made / "request.pem", made / "extensions"
        extensions.write_text(f"extendedKeyUsage={usage}Auth\nsubjectAltName=DNS:localhost,IP:127.0.0.1\n")
        _openssl("req", *_KEY, "-keyout", made / "key.pem", "-out", request, "-subj", f"/CN={name}")
        _openssl(
            "x509", "-req", "-in", request, "-CA", self.certificate, "-CAkey", self._key, "-CAcreateserial",
            "-out", made / "cert.pem", "-days", "2", "-extfile", extensions,
        )  # fmt: skip
        shutil.copy(self.certificate, made / "ca.pem")
        return made


def _openssl(*arguments: str | Path) -> None:
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)
