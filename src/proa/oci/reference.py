"""Image references, `[domain/]path[:tag][@digest]`: Docker's grammar, shorthands and messages.

`busybox` is `docker.io/library/busybox:latest`. The grammar is that of the distribution project's reference
package; a first component is a domain when it has a dot, a colon or an upper-case letter, or is `localhost`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from proa.errors import InvalidArgument
from proa.oci import digest as digests

DEFAULT_DOMAIN = "docker.io"
LEGACY_DEFAULT_DOMAIN = "index.docker.io"
OFFICIAL_PREFIX = "library/"
DEFAULT_TAG = "latest"
MAX_NAME_LENGTH = 255
_MAX_LENGTH = 1024  # more than any valid reference; keeps the expressions below off hostile megabytes

_LABEL = r"(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])"
_DOMAIN = rf"(?:{_LABEL}(?:\.{_LABEL})*|\[[a-fA-F0-9:]+\])(?::[0-9]+)?"
_COMPONENT = r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
_PATH = rf"{_COMPONENT}(?:/{_COMPONENT})*"
_TAG = r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}"
_DIGEST = r"[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}"
_REFERENCE = re.compile(
    rf"(?P<domain>{_DOMAIN})/(?P<path>{_PATH})(?::(?P<tag>{_TAG}))?(?:@(?P<digest>{_DIGEST}))?"
)
_IDENTIFIER = re.compile(r"[a-f0-9]{64}")
_WHOLE_TAG = re.compile(_TAG)


@dataclass(frozen=True, slots=True)
class Reference:
    """A name of an image, in full; without tag and digest that of a repository. `path` lacks the domain."""

    domain: str
    path: str
    tag: str | None = None
    digest: str | None = None

    @classmethod
    def parse(cls, text: str, default_tag: str | None = DEFAULT_TAG) -> Reference:
        """Parse what a user wrote; `default_tag` is added when there is neither tag nor digest.

        Raises `InvalidArgument` in Docker's words.
        """
        if _IDENTIFIER.fullmatch(text):
            raise InvalidArgument(f"invalid repository name ({text}), cannot specify 64-byte hexadecimal strings")
        domain, remainder = _split_domain(text)
        path = remainder.partition(":")[0]
        if path != path.lower():
            raise InvalidArgument(f"invalid reference format: repository name ({path}) must be lowercase")
        match = _REFERENCE.fullmatch(f"{domain}/{remainder}") if len(text) <= _MAX_LENGTH else None
        if match is None:
            raise InvalidArgument("invalid reference format")
        tag, digest = match["tag"], match["digest"]
        if len(match["path"]) > MAX_NAME_LENGTH:
            problem = f"repository name must not be more than {MAX_NAME_LENGTH} characters"
            raise InvalidArgument(f"invalid reference format: {problem}")
        if digest is not None:
            digests.validate(digest)
        if tag is None and digest is None:
            tag = default_tag
        return cls(match["domain"], match["path"], tag, digest)

    @property
    def name(self) -> str:
        """The repository in full: docker.io/library/busybox."""
        return f"{self.domain}/{self.path}"

    @property
    def familiar_name(self) -> str:
        """The repository as users write it: busybox."""
        if self.domain != DEFAULT_DOMAIN:
            return self.name
        short = self.path.removeprefix(OFFICIAL_PREFIX)
        return self.path if "/" in short else short

    @property
    def familiar(self) -> str:
        """The reference as users write it: busybox:latest."""
        return self.familiar_name + self._suffix

    @property
    def tag_or_digest(self) -> str:
        """What stands behind /manifests/ in a registry's URL: the digest, the more exact one, or the tag."""
        return self.digest or self.tag or DEFAULT_TAG

    def __str__(self) -> str:
        return self.name + self._suffix

    @property
    def _suffix(self) -> str:
        return (f":{self.tag}" if self.tag else "") + (f"@{self.digest}" if self.digest else "")

    def repository(self) -> Reference:
        """Return the reference without tag and digest."""
        return Reference(self.domain, self.path)

    def with_tag(self, tag: str) -> Reference:
        """Return this repository with `tag` and no digest; refuses what is no tag."""
        if not _WHOLE_TAG.fullmatch(tag):
            raise InvalidArgument("invalid tag format")
        return replace(self, tag=tag, digest=None)

    def with_digest(self, digest: str) -> Reference:
        """Return this repository with `digest` and no tag."""
        return replace(self, tag=None, digest=digests.validate(digest))


def _split_domain(text: str) -> tuple[str, str]:
    """Split off the domain and add what Docker lets users leave out."""
    first, slash, rest = text.partition("/")
    if not slash:
        return DEFAULT_DOMAIN, OFFICIAL_PREFIX + text
    if first == LEGACY_DEFAULT_DOMAIN:
        first = DEFAULT_DOMAIN
    elif first != "localhost" and "." not in first and ":" not in first and first == first.lower():
        return DEFAULT_DOMAIN, text
    if first == DEFAULT_DOMAIN and "/" not in rest:
        rest = OFFICIAL_PREFIX + rest
    return first, rest
