"""Device rules of an OCI configuration, as the kernel's device cgroup understands them.

Both versions get the same decisions: the rules are first played through the state machine of
security/device_cgroup.c (a default, and exceptions to it), v1 then writes the result to devices.allow and
devices.deny, v2 compiles it to a BPF program (`linux/bpf.py`).
"""

from __future__ import annotations

from proa.errors import InvalidArgument

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Device = tuple[str, int, int]
    """("c" | "b", major, minor); -1 is any."""

ACCESS = "rwm"
ANY = -1


class DeviceList:
    """A default decision and the devices for which the opposite holds, each with its accesses ("rw", …)."""

    def __init__(self) -> None:
        self.allow_by_default = False
        self.exceptions: dict[Device, str] = {}

    def add(self, allow: bool, kind: str, major: int, minor: int, access: str) -> None:
        """Play one rule. Type "a" means every device and starts anew, as in the kernel."""
        if kind == "a":
            self.allow_by_default, self.exceptions = allow, {}
            return
        device = (kind, major, minor)
        old = self.exceptions.get(device, "")
        if allow != self.allow_by_default:
            self.exceptions[device] = "".join(letter for letter in ACCESS if letter in old + access)
            return
        self._refuse_hole(device, access)
        left = "".join(letter for letter in old if letter not in access)
        if left:
            self.exceptions[device] = left
        else:
            self.exceptions.pop(device, None)

    def _refuse_hole(self, device: Device, access: str) -> None:
        """v1 silently ignores a rule that takes a device out of a wildcard: better no container at all."""
        for other, accesses in self.exceptions.items():
            if other != device and covers(other, device) and set(accesses) & set(access):
                raise InvalidArgument(
                    f"device rule {describe(device, access)} would punch a hole into rule "
                    f"{describe(other, accesses)}, which the kernel cannot do"
                )


def covers(wide: Device, narrow: Device) -> bool:
    return wide[0] == narrow[0] and all(
        mine in (ANY, theirs) for mine, theirs in zip(wide[1:], narrow[1:], strict=True)
    )


def describe(device: Device, access: str) -> str:
    """Return the rule in the words of devices.allow: "c 1:3 rwm"."""
    kind, major, minor = device
    return f"{kind} {'*' if major == ANY else major}:{'*' if minor == ANY else minor} {access}"


def parse(rules: list[dict[str, Any]]) -> DeviceList:
    """Play `linux.resources.devices` in order. Before the first rule nothing is allowed."""
    devices = DeviceList()
    for rule in rules:
        kind, access = rule.get("type") or "a", rule.get("access") or ACCESS
        if kind not in ("a", "b", "c") or not set(access) <= set(ACCESS):
            raise InvalidArgument(f"invalid device rule: type {kind!r}, access {access!r}")
        major, minor = (ANY if rule.get(key) is None else rule[key] for key in ("major", "minor"))
        devices.add(bool(rule.get("allow")), kind, major, minor, access)
    return devices


def v1_commands(devices: DeviceList) -> list[tuple[str, str]]:
    """Return (control file, value) pairs that take a cgroup from any state to `devices`."""
    first, others = ("allow", "deny") if devices.allow_by_default else ("deny", "allow")
    exceptions = [describe(device, access) for device, access in devices.exceptions.items()]
    return [(f"devices.{first}", "a"), *((f"devices.{others}", text) for text in exceptions)]
