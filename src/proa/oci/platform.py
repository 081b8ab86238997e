"""Platforms, `os/architecture[/variant]`, and which image of an index runs on them.

Names and defaults are Go's GOOS and GOARCH as the image-spec prescribes; aliases and fallbacks are those of
containerd's platforms package, so the same index gives the same image as with Docker.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field

from proa.errors import InvalidArgument

_COMPONENT = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-")
_OPERATING_SYSTEMS = {
    "aix", "android", "darwin", "dragonfly", "freebsd", "hurd", "illumos", "ios", "js", "linux", "nacl",
    "netbsd", "openbsd", "plan9", "solaris", "windows", "wasip1", "zos",
}  # fmt: skip
_ARCHITECTURES = {
    "386", "amd64", "amd64p32", "arm", "armbe", "arm64", "arm64be", "loong64", "mips", "mipsle", "mips64",
    "mips64le", "mips64p32", "mips64p32le", "ppc", "ppc64", "ppc64le", "riscv", "riscv64", "s390", "s390x",
    "sparc", "sparc64", "wasm",
}  # fmt: skip
_ALIASES = {  # what users and uname say: (architecture, variant)
    "i386": ("386", ""), "i686": ("386", ""),
    "x86_64": ("amd64", ""), "x86-64": ("amd64", ""),
    "aarch64": ("arm64", ""),
    "armhf": ("arm", "v7"), "armel": ("arm", "v6"),
    "armv7l": ("arm", "v7"), "armv6l": ("arm", "v6"), "armv5l": ("arm", "v5"), "armv8l": ("arm", "v8"),
    "loongarch64": ("loong64", ""),
}  # fmt: skip
_IMPLIED_VARIANTS = {("arm64", "v8"), ("arm64", "8"), ("amd64", "v1")}


@dataclass(frozen=True, slots=True)
class Platform:
    """What an image runs on. `os_version` and `os_features` matter on Windows only."""

    os: str
    architecture: str
    variant: str = ""
    os_version: str = ""
    os_features: tuple[str, ...] = field(default=())

    def __str__(self) -> str:
        return "/".join(part for part in (self.os, self.architecture, self.variant) if part)

    @classmethod
    def parse(cls, text: str) -> Platform:
        """Parse what `--platform` takes: os, architecture, os/architecture or os/architecture/variant."""
        if "*" in text:
            raise InvalidArgument(f'"{text}": wildcards not yet supported: invalid argument')
        parts = text.split("/")
        for part in parts:
            if not part or not _COMPONENT.issuperset(part):
                raise InvalidArgument(
                    f'"{part}" is an invalid component of "{text}": platform specifier component must match '
                    '"^[A-Za-z0-9_.-]+$": invalid argument'
                )
        if len(parts) > 3:
            raise InvalidArgument(f'"{text}": cannot parse platform specifier: invalid argument')
        if len(parts) == 1:
            return _from_one_word(text)
        return normalize(cls(parts[0], parts[1], parts[2] if len(parts) == 3 else ""))

    def rank(self, offered: Platform) -> int | None:
        """Return how well an image made for `offered` suits this platform: 0 is best, None is not at all."""
        offered = normalize(offered)
        wanted = (offered.os, offered.architecture, offered.variant)
        for position, candidate in enumerate(_fallbacks(normalize(self))):
            if candidate == wanted:
                return position
        return None

    def matches(self, offered: Platform) -> bool:
        return self.rank(offered) is not None


def normalize(platform: Platform) -> Platform:
    """Return the platform in Go's names: x86_64 is amd64, arm64/v8 arm64, arm without variant arm/v7."""
    system = platform.os.lower()
    system = {"macos": "darwin"}.get(system, system)
    architecture, variant = platform.architecture.lower(), platform.variant.lower()
    if architecture in _ALIASES:
        architecture, implied = _ALIASES[architecture]
        variant = variant or implied
    if architecture == "arm":
        variant = {"": "v7", "5": "v5", "6": "v6", "7": "v7", "8": "v8"}.get(variant, variant)
    if (architecture, variant) in _IMPLIED_VARIANTS:
        variant = ""
    return Platform(system, architecture, variant, platform.os_version, platform.os_features)


def default() -> Platform:
    """Return the platform of this machine."""
    machine = os.uname()
    return normalize(Platform(machine.sysname.lower(), machine.machine))


def _from_one_word(text: str) -> Platform:
    here = default()
    word = normalize(Platform(text, text))
    if word.os in _OPERATING_SYSTEMS:
        return Platform(word.os, here.architecture, here.variant)
    if word.architecture in _ARCHITECTURES:
        return Platform(here.os, word.architecture, word.variant)
    raise InvalidArgument(f'"{text}": unknown operating system or architecture: invalid argument')


def _fallbacks(platform: Platform) -> list[tuple[str, str, str]]:
    """List what a platform can run, best first: the 32-bit and the older variants of its family too."""
    system, architecture, variant = platform.os, platform.architecture, platform.variant
    names = [(architecture, variant)]
    if architecture == "amd64":
        level = int(variant[1:]) if variant[:1] == "v" and variant[1:].isdecimal() else 1
        names += [("amd64", f"v{older}" if older > 1 else "") for older in range(min(level, 5) - 1, 0, -1)]
        names.append(("386", ""))
    elif architecture == "arm64":
        if variant:
            names.append(("arm64", ""))
        names += [("arm", f"v{older}") for older in (8, 7, 6, 5)]
    elif architecture == "arm" and variant in ("v8", "v7", "v6"):
        names += [("arm", f"v{older}") for older in range(int(variant[1]) - 1, 4, -1)]
    return [(system, *name) for name in names]
