"""What TLS needs besides a connection."""

from __future__ import annotations


class Tls:
    """Files for TLS; `verify` also checks the engine's certificate. Missing files are left out."""

    def __init__(self, ca: str, certificate: str, key: str, verify: bool) -> None:
        self.ca = ca
        self.certificate = certificate
        self.key = key
        self.verify = verify
