"""`--filter` of containers and networks: which there are and what they match, by Docker's rules.

The rules that all lists share are in `filtering.py`; those of images and volumes are beside their lists.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from proa import times
from proa.engine import filtering
from proa.engine.filtering import Filters
from proa.engine.records import Container, Status
from proa.errors import InvalidArgument, NotFound

if TYPE_CHECKING:
    from proa.engine.images.image import Image

CONTAINER_FILTERS = frozenset({
    "ancestor", "before", "exited", "expose", "health", "id", "is-task", "isolation", "label", "name",
    "network", "publish", "since", "status", "volume",
})  # fmt: skip
PRUNE_FILTERS = frozenset({"label", "label!", "until"})
NETWORK_FILTERS = frozenset({"dangling", "driver", "id", "label", "name", "scope", "type"})
_HEALTH = ("none", "starting", "healthy", "unhealthy")

Test = Callable[[Container], bool]
FindContainer = Callable[[str], Container]
FindImage = Callable[[str], "Image"]


def select_containers(
    containers: Sequence[Container],
    filters: Filters,
    *,
    all: bool = False,
    limit: int = 0,
    find: FindContainer,
    find_image: FindImage,
) -> list[Container]:
    """Return the containers that pass every filter, the newest first.

    Stopped ones only with `all`, a `limit` (the newest of all states) or the filter `status`. Raises
    `InvalidArgument` for filters that make no sense, `NotFound` for the container of `before` or `since`.
    """
    filtering.check(filters, CONTAINER_FILTERS)
    stopped = all or limit > 0 or bool(filters.get("status"))
    tests = list(_tests(filters, find, find_image))
    selected = []
    for record in sorted(containers, key=lambda record: record.created, reverse=True):
        if (stopped or record.active) and _passes(record, tests):
            selected.append(record)
            if len(selected) == limit:
                break
    return selected


def _passes(record: Container, tests: Iterable[Test]) -> bool:
    return all(test(record) for test in tests)


def _tests(filters: Filters, find: FindContainer, find_image: FindImage) -> Iterator[Test]:
    """Yield one test for each filter that is given."""
    for key, make in _TESTS.items():
        if values := filters.get(key):
            yield make(list(values))
    if values := filters.get("before"):
        latest = min(find(name).created for name in values)
        yield lambda record: record.created < latest
    if values := filters.get("since"):
        earliest = max(find(name).created for name in values)
        yield lambda record: record.created > earliest
    if values := filters.get("ancestor"):
        descends = _ancestry(values, find_image)
        yield lambda record: descends(record.image_id)
    if filtering.boolean(filters, "is-task"):
        yield lambda record: False  # tasks are swarm's


def _by_name(values: list[str]) -> Test:
    return lambda record: matches_any(values, record.name) or matches_any(values, f"/{record.name}")


def _by_status(values: list[str]) -> Test:
    _check_values("status", values, "state", [str(status) for status in Status])
    return lambda record: record.state.status in values


def _by_health(values: list[str]) -> Test:
    _check_values("health", values, "health", _HEALTH)
    return lambda record: (record.state.health.status if record.state.health else "none") in values


def _by_exit_code(values: list[str]) -> Test:
    codes = {_exit_code(value) for value in values}
    return lambda record: record.state.exit_code in codes and not record.active and record.state.started_at > 0


def _by_volume(values: list[str]) -> Test:
    wanted = frozenset(values)
    return lambda record: any({point.name, point.destination} & wanted for point in record.mounts)


def _by_exposed_port(values: list[str]) -> Test:
    wanted = {port for value in values for port in _ports("expose", value)}
    return lambda record: any(wanted & set(_ports("expose", port)) for port in record.options.exposed_ports)


def _by_published_port(values: list[str]) -> Test:
    """The port is the host's, while the container has it."""
    wanted = {port for value in values for port in _ports("publish", value)}
    return lambda record: any(
        f"{port}/{each.protocol}" in wanted
        for each in record.ports
        if not each.is_routed
        for port in range(each.host_port, each.host_port + each.count)
    )


_TESTS: dict[str, Callable[[list[str]], Test]] = {
    "id": lambda values: lambda record: matches_any(values, record.id),
    "name": _by_name,
    "label": lambda values: lambda record: filtering.has_labels(values, record.options.labels),
    "status": _by_status,
    "health": _by_health,
    "exited": _by_exit_code,
    "volume": _by_volume,
    "network": lambda values: lambda record: _on_network(record, values),
    "expose": _by_exposed_port,
    "publish": _by_published_port,
    "isolation": lambda values: lambda record: bool({"", "default"} & set(values)),
}


def matches_any(patterns: Iterable[str], text: str) -> bool:
    """Whether a text is, or has in it a match of, a regular expression; broken ones match nothing."""
    for pattern in patterns:
        if pattern == text:
            return True
        try:
            if re.search(pattern, text):
                return True
        except re.error:
            continue
    return False


def _check_values(key: str, values: Iterable[str], meaning: str, accepted: Sequence[str]) -> None:
    for value in values:
        if value not in accepted:
            raise InvalidArgument(
                f"invalid filter '{key}={value}': invalid value for {meaning} ({value}): "
                f"must be one of {', '.join(accepted)}"
            )


def _exit_code(value: str) -> int:
    try:
        return int(value)
    except ValueError:
        raise InvalidArgument(
            f"invalid filter 'exited={value}': strconv.Atoi: parsing \"{value}\": invalid syntax"
        ) from None


def _ancestry(names: Iterable[str], find_image: FindImage) -> Callable[[str], bool]:
    """Return whether an image is one of `names` or was made from one; unknown names match nothing."""
    ancestors = set()
    for name in names:
        try:
            ancestors.add(find_image(name).id)
        except NotFound:
            continue
    known: dict[str, bool] = {}

    def descends(image_id: str) -> bool:
        if image_id not in known:
            known[image_id] = image_id in ancestors
            if not known[image_id]:
                try:
                    parent = find_image(image_id).parent
                except NotFound:
                    parent = ""
                known[image_id] = bool(parent) and descends(parent)
        return known[image_id]

    return descends


def _on_network(record: Container, values: Iterable[str]) -> bool:
    return any(
        value == name or (endpoint.network_id and endpoint.network_id.startswith(value))
        for name, endpoint in record.endpoints.items()
        for value in values
    )


def _ports(key: str, text: str) -> list[str]:
    """Read "80", "80/udp" or "8000-8010/tcp" into single ports."""
    numbers, _, protocol = text.partition("/")
    first, _, last = numbers.partition("-")
    if not (first.isdecimal() and (last or first).isdecimal() and int(first) <= int(last or first) < 65536):
        raise InvalidArgument(f"invalid filter '{key}={text}'")
    return [f"{number}/{protocol or 'tcp'}" for number in range(int(first), int(last or first) + 1)]


def prunable(records: Iterable[Container], filters: Filters, now: int) -> list[Container]:
    """Return the stopped containers that `container prune` removes: older than `until`, by labels."""
    filtering.check(filters, PRUNE_FILTERS)
    limits = [times.parse_moment(text, now) for text in filters.get("until", ())]
    return [
        record
        for record in records
        if not record.active
        and all(record.created < limit for limit in limits)
        and pruned_by_labels(filters, record.options.labels)
    ]


def pruned_by_labels(filters: Filters, labels: dict[str, str]) -> bool:
    """Whether labels let an object be pruned: all of `label`, none of `label!`."""
    unwanted = filters.get("label!", ())
    return filtering.has_labels(filters.get("label", ()), labels) and not any(
        filtering.has_labels([text], labels) for text in unwanted
    )
