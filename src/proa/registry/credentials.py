"""What a user proves his identity with at a registry."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Credentials:
    """Docker's AuthConfig. An identity (refresh) token beats a password, a registry token both."""

    username: str = ""
    password: str = field(default="", repr=False)
    identity_token: str = field(default="", repr=False)
    registry_token: str = field(default="", repr=False)  # sent as it is: `Authorization: Bearer …`

    def __bool__(self) -> bool:
        return bool(self.username or self.identity_token or self.registry_token)

    @property
    def basic(self) -> str:
        """The value of an Authorization header; "" without user name."""
        if not self.username:
            return ""
        return "Basic " + base64.b64encode(f"{self.username}:{self.password}".encode()).decode("ascii")


ANONYMOUS = Credentials()
