"""One way to a registry: a server, how it is reached and trusted, and what it is asked for."""

from __future__ import annotations

from dataclasses import dataclass

from proa.registry.tls import NO_FILES, Tls

# What a server may be asked for: manifests by tag; blobs and manifests by digest; to take something.
RESOLVE, PULL, PUSH = "resolve", "pull", "push"
READ = frozenset({RESOLVE, PULL})
ALL = READ | {PUSH}


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One server that stands for a registry. A mirror is somebody else's: it gets nobody's password."""

    scheme: str
    host: str  # with the port, as it was written
    prefix: str = ""  # path of a mirror behind another server
    verify: bool = True  # the certificate
    mirror: bool = False
    tls: Tls = NO_FILES
    capabilities: frozenset[str] = ALL
    headers: tuple[tuple[str, str], ...] = ()  # sent with every request
    connect_timeout: float = 0  # seconds, for each address; 0 is the usual time
    bare: bool = False  # whether `prefix` is the API's root already, /v2 or another
    moved: tuple[str, str] = ("", "")  # the beginning of repositories' paths, and what this server has instead
    namespace: str = ""  # the registry that is meant, for servers that mirror several

    @property
    def origin(self) -> str:
        return f"{self.scheme}://{self.host}"

    @property
    def url(self) -> str:
        """Without trailing slash and without /v2."""
        return f"{self.origin}{self.prefix}"

    @property
    def api(self) -> str:
        """What the paths of requests are added to."""
        return self.url if self.bare else f"{self.url}/v2"

    def path(self, repository: str) -> str:
        """Return what this server calls a repository."""
        old, new = self.moved
        rest = repository.removeprefix(old) if old else f"/{repository}" if new else repository
        return f"{new}{rest}".strip("/")

    def __str__(self) -> str:
        return self.host + self.prefix
