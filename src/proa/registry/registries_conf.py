"""registries.conf, version 2: mirrors, other locations and bans of registries, as Podman and skopeo read it
(containers-registries.conf(5)).

    [[registry]]
    prefix = "docker.io/library"
    location = "registry.example/hub"
    blocked = false
    [[registry.mirror]]
    location = "mirror.example/library"

The longest prefix of a name decides. Files of registries.conf.d come after the file itself; the last that speaks
of a prefix counts.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from pathlib import Path

from proa.errors import Forbidden
from proa.oci.reference import Reference
from proa.registry.endpoint import READ, Endpoint
from proa.registry.tables import Table

NAME = "registries.conf"
DROP_INS = "registries.conf.d"
_PULL_FROM_MIRROR = ("all", "digest-only", "tag-only")
_LOCATION = re.compile(r"(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::\d+)?(?:/[a-z0-9._-]+)*")
_TAG = re.compile(r"(?<=[^/])(?::[\w.-]+)?(?:@[a-z0-9:]+)?$")  # behind a path, in a prefix
_WILDCARD = "*."
# What has no meaning here: short names are Docker's ("busybox" is docker.io/library/busybox) and nothing else,
# and credentials come with each request of a client.
IGNORED = ("unqualified-search-registries", "short-name-mode", "credential-helpers")

# The ways to host and scheme, a first one to try and perhaps a second, and whether they are insecure.
Reach = Callable[[str, bool], Awaitable[list[Endpoint]]]


@dataclass(frozen=True, slots=True)
class Place:
    """Where images are: HOST[:PORT][/PATH]."""

    location: str
    insecure: bool = False
    pull: str = "all"  # of a mirror: which references it is asked for


@dataclass(frozen=True, slots=True)
class Rule:
    """One [[registry]]."""

    prefix: str
    own: Place  # location "": as the reference says
    mirrors: tuple[Place, ...]
    blocked: bool
    path: Path

    def matches(self, reference: Reference) -> bool:
        """Whether this speaks of a reference; see `covered` for how much of its name."""
        return bool(self.covered(reference))

    def covered(self, reference: Reference) -> str:
        """Return the beginning of a reference's name that the prefix stands for, "" for none."""
        if self.prefix.startswith(_WILDCARD):
            return reference.domain if _host(reference.domain).endswith(self.prefix[1:]) else ""
        if self.prefix in (str(reference), reference.name):
            return reference.name
        return self.prefix if reference.name.startswith(f"{self.prefix}/") else ""


def read(place: Path) -> tuple[list[Rule], list[str]]:
    """Return the rules of a directory, and warnings. Raises `InvalidArgument` that names file and key."""
    rules: dict[str, Rule] = {}
    warnings: list[str] = []
    for path in (place / NAME, *sorted((place / DROP_INS).glob("*.conf"))):
        try:
            document = Table.read(path)
        except FileNotFoundError:
            continue
        for each in _rules(document, warnings):
            rules[each.prefix] = each
    return list(rules.values()), warnings


def _rules(document: Table, warnings: list[str]) -> list[Rule]:
    if "registries" in document:
        document.fail("registries", "this is version 1 of the format; version 2 has [[registry]] tables")
    warnings += [f"{document.path}: {key} has no meaning for Proa" for key in IGNORED if document.value(key)]
    document.table("aliases")
    found = [_rule(table) for table in document.tables("registry")]
    document.finish()
    return found


def _rule(table: Table) -> Rule:
    location = _location(table, required="prefix" not in table)
    prefix = table.text("prefix").rstrip("/") or location
    if prefix.startswith(_WILDCARD) and "/" in prefix:
        table.fail("prefix", f"a wildcard stands for hosts, not for paths: {prefix!r}")
    name = prefix.removeprefix(_WILDCARD)
    if not _LOCATION.fullmatch(_TAG.sub("", name) if "/" in name else name):
        table.fail("prefix", f'expected "HOST[:PORT][/PATH]" or "*.DOMAIN", not {prefix!r}')
    only_digests = table.flag("mirror-by-digest-only")
    mirrors: list[Place] = []
    for mirror in table.tables("mirror"):
        pull = mirror.text("pull-from-mirror")
        if pull and pull not in _PULL_FROM_MIRROR:
            mirror.fail("pull-from-mirror", f"expected one of {', '.join(_PULL_FROM_MIRROR)}, not {pull!r}")
        if pull and only_digests:
            mirror.fail("pull-from-mirror", "cannot be used beside mirror-by-digest-only")
        pull = pull or ("digest-only" if only_digests else "all")
        mirrors.append(Place(_location(mirror, required=True), mirror.flag("insecure"), pull))
        mirror.finish()
    own = Place(location, table.flag("insecure"))
    rule = Rule(prefix, own, tuple(mirrors), table.flag("blocked"), table.path)
    table.finish()
    return rule


def _location(table: Table, *, required: bool) -> str:
    text = table.text("location").rstrip("/")
    if text and not _LOCATION.fullmatch(text):
        table.fail("location", f"expected HOST[:PORT][/PATH] without scheme, not {text!r}")
    if required and not text:
        table.fail("location", "is missing")
    return text


def choose(rules: list[Rule], reference: Reference) -> Rule | None:
    """Return the rule with the longest prefix of the reference's name; an exact one beats a wildcard."""
    fitting = [rule for rule in rules if rule.matches(reference)]
    return max(fitting, key=lambda rule: (not rule.prefix.startswith(_WILDCARD), len(rule.prefix)), default=None)


async def endpoints(rule: Rule, reference: Reference, reach: Reach) -> list[Endpoint]:
    """Return the ways to a reference, mirrors first. Raises `Forbidden` for a blocked registry."""
    if rule.blocked:
        raise Forbidden(f'registry "{rule.prefix}" is blocked in {rule.path}')
    covered = rule.covered(reference)
    kind = "digest-only" if reference.digest else "tag-only"
    found: list[Endpoint] = []
    for place in (*rule.mirrors, rule.own):
        if place.pull not in ("all", kind):
            continue
        host, _, path = (place.location or covered).partition("/")
        old = covered.partition("/")[2]
        for endpoint in await reach(host, place.insecure):
            endpoint = replace(endpoint, moved=("", "") if old == path else (old, path))
            mirror = place is not rule.own
            found.append(replace(endpoint, mirror=True, capabilities=READ) if mirror else endpoint)
    return found


def _host(domain: str) -> str:
    return domain.rpartition(":")[0] if ":" in domain else domain
