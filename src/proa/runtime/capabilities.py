"""Which capabilities a container gets: the defaults, --cap-add and --cap-drop, within what the engine has."""

from __future__ import annotations

from proa.errors import InvalidArgument
from proa.linux import capabilities as kernel
from proa.runtime.defaults import CAPABILITIES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

ALL = "ALL"


def normalize(names: Iterable[str], option: str) -> list[str]:
    """Return names in the kernel's spelling: net_admin and CAP_NET_ADMIN are one, ALL stays.

    `option`, "CapAdd" or "CapDrop", is named in the error; InvalidArgument in Docker's words.
    """
    result = []
    for name in names:
        upper = name.upper()
        if upper in (ALL, "CAP_ALL"):
            result.append(ALL)
            continue
        full = upper if upper.startswith("CAP_") else f"CAP_{upper}"
        if full not in kernel.NUMBERS:
            raise InvalidArgument(f'invalid {option}: unknown capability: "{full}"')
        result.append(full)
    return result


def select(
    add: Iterable[str], drop: Iterable[str], privileged: bool = False, bounding: int | None = None
) -> tuple[list[str], list[str]]:
    """Return (capabilities by number, warnings).

    ALL among the added means everything but the dropped; among the dropped, nothing but the added; else an
    added one beats a dropped one. What the engine itself may not have (`bounding`, a mask; default: this
    process's bounding set) is left out: with a warning, if it was asked for by name or by privilege.
    """
    added, dropped = normalize(add, "CapAdd"), normalize(drop, "CapDrop")
    available = set(kernel.names(kernel.bounding_set() if bounding is None else bounding))
    asked: set[str] = set(added) - {ALL}
    if privileged:
        wanted = set(kernel.supported())
        asked = wanted
    elif ALL in added:
        wanted = set(kernel.supported()) - set(dropped)
        asked = wanted
    elif ALL in dropped:
        wanted = asked
    else:
        wanted = set(CAPABILITIES) - set(dropped) | asked
    missing = sorted((wanted & asked) - available, key=kernel.NUMBERS.__getitem__)
    warnings = [f"The engine does not have the capability {name}. Capability discarded." for name in missing]
    return sorted(wanted & available, key=kernel.NUMBERS.__getitem__), warnings
