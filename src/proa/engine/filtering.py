"""How `--filter` matches: the rules that Docker's list and event filters share.

Filters map a key to its values: those of one key are alternatives (labels: all needed), the keys are joined.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from proa.errors import InvalidArgument

Filters = Mapping[str, Collection[str]]


def check(filters: Filters, accepted: Collection[str]) -> None:
    """Refuse keys that are not accepted. Raises `InvalidArgument` in Docker's words."""
    for key in filters:
        if key not in accepted:
            raise InvalidArgument(f"invalid filter '{key}'")


def boolean(filters: Filters, key: str) -> bool | None:
    """Return the value of a filter that takes true, 1, false or 0; None when it is not given."""
    if key not in filters:
        return None
    values = set(filters[key])
    true, false = bool(values & {"1", "true"}), bool(values & {"0", "false"})
    if true == false:
        raise InvalidArgument(f"invalid filter '{key}=[{' '.join(sorted(values))}]'")
    return true


def exact(filters: Filters, key: str, text: str) -> bool:
    """Whether `text` is one of the values, or there are none."""
    values = filters.get(key)
    return not values or text in values


def prefixed(filters: Filters, key: str, text: str) -> bool:
    """Whether `text` begins with one of the values, or there are none."""
    values = filters.get(key)
    return not values or any(text.startswith(value) for value in values)


def labelled(filters: Filters, key: str, labels: Mapping[str, str]) -> bool:
    """Whether all the values, "name" or "name=value", are among `labels`."""
    return has_labels(filters.get(key) or (), labels)


def has_labels(wanted: Iterable[str], labels: Mapping[str, str]) -> bool:
    for text in wanted:
        name, equals, value = text.partition("=")
        if name not in labels or (equals and labels[name] != value):
            return False
    return True
