"""`ps --filter` and `prune --filter`: what each key matches."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from proa import wording
from proa.engine import filters
from proa.engine.options import ContainerOptions
from proa.engine.records import Container, EndpointRecord, MountPoint, State, Status
from proa.errors import InvalidArgument, NotFound

IMAGES = {"base": ("sha256:base", ""), "child": ("sha256:child", "sha256:base"), "other": ("sha256:other", "")}


def container(number: int, name: str, status: Status, **fields: Any) -> Container:
    options = ContainerOptions(
        image="base",
        labels=fields.pop("labels", {}),
        exposed_ports=fields.pop("ports", []),
        network_mode=fields.pop("network", "bridge"),
    )
    state = State(status=status, exit_code=fields.pop("code", 0), started_at=number)
    fields.setdefault("endpoints", {options.network_mode: EndpointRecord(network=options.network_mode)})
    return Container(
        id=f"{number:x}" * 64, name=name, created=number, layers=[], options=options, state=state,
        image_id=fields.pop("image", "sha256:other"), **fields,
    )  # fmt: skip


CONTAINERS = [
    container(1, "web-1", Status.RUNNING, labels={"app": "web"}, ports=["80/tcp", "90-91/udp"]),
    container(2, "web-2", Status.EXITED, code=3, labels={"app": "db", "old": ""}, image="sha256:base"),
    container(
        3, "db", Status.PAUSED, image="sha256:child",
        mounts=[MountPoint(type="volume", name="data", destination="/var/data")],
        endpoints={"bridge": EndpointRecord(network="bridge", network_id="f00d")},
    ),
    container(4, "fresh", Status.CREATED, network="none"),
]  # fmt: skip


def find(name: str) -> Container:
    for each in CONTAINERS:
        if name in (each.name, each.id):
            return each
    raise wording.no_such_container(name)


def find_image(name: str) -> Any:
    for key, (identifier, parent) in IMAGES.items():
        if name in (key, identifier):
            return SimpleNamespace(id=identifier, parent=parent)
    raise wording.no_such_image(name)


def select(wanted: dict[str, list[str]], **options: Any) -> list[str]:
    options.setdefault("all", True)
    found = filters.select_containers(CONTAINERS, wanted, find=find, find_image=find_image, **options)
    return [each.name for each in found]


def test_only_running_ones_are_listed_the_newest_first() -> None:
    assert select({}, all=False) == ["db", "web-1"]
    assert select({}) == ["fresh", "db", "web-2", "web-1"]


def test_a_limit_counts_all_states() -> None:
    assert select({}, all=False, limit=1) == ["fresh"]
    assert select({"name": ["web"]}, all=False, limit=1) == ["web-2"]


def test_a_status_implies_all() -> None:
    assert select({"status": ["exited"]}, all=False) == ["web-2"]


@pytest.mark.parametrize(
    ("wanted", "names"),
    [
        ({"id": ["1"]}, ["web-1"]),
        ({"id": ["^2", "3"]}, ["db", "web-2"]),
        ({"name": ["web"]}, ["web-2", "web-1"]),
        ({"name": ["^/web-1$"]}, ["web-1"]),
        ({"name": ["^db$", "fresh"]}, ["fresh", "db"]),
        ({"name": ["["]}, []),
        ({"label": ["app"]}, ["web-2", "web-1"]),
        ({"label": ["app=web"]}, ["web-1"]),
        ({"label": ["app", "old"]}, ["web-2"]),
        ({"status": ["paused", "created"]}, ["fresh", "db"]),
        ({"exited": ["3"]}, ["web-2"]),
        ({"exited": ["0"]}, ["fresh"]),
        ({"before": ["db"]}, ["web-2", "web-1"]),
        ({"since": ["web-2"]}, ["fresh", "db"]),
        ({"ancestor": ["base"]}, ["db", "web-2"]),
        ({"ancestor": ["child"]}, ["db"]),
        ({"ancestor": ["nothing"]}, []),
        ({"volume": ["data"]}, ["db"]),
        ({"volume": ["/var/data"]}, ["db"]),
        ({"network": ["none"]}, ["fresh"]),
        ({"network": ["f00d"]}, ["db"]),
        ({"expose": ["80"]}, ["web-1"]),
        ({"expose": ["91/udp"]}, ["web-1"]),
        ({"expose": ["91/tcp"]}, []),
        ({"publish": ["80"]}, []),
        ({"health": ["none"]}, ["fresh", "db", "web-2", "web-1"]),
        ({"health": ["healthy"]}, []),
        ({"is-task": ["true"]}, []),
        ({"is-task": ["false"]}, ["fresh", "db", "web-2", "web-1"]),
        ({"isolation": ["hyperv"]}, []),
        ({"isolation": ["default"]}, ["fresh", "db", "web-2", "web-1"]),
        ({"name": ["web"], "label": ["app=db"]}, ["web-2"]),
        ({"name": []}, ["fresh", "db", "web-2", "web-1"]),
    ],
)
def test_keys_join_and_values_are_alternatives(wanted: dict[str, list[str]], names: list[str]) -> None:
    assert select(wanted) == names


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ({"color": ["red"]}, "invalid filter 'color'"),
        ({"status": ["busy"]}, "invalid filter 'status=busy'"),
        ({"health": ["ill"]}, "invalid filter 'health=ill'"),
        ({"exited": ["x"]}, "invalid filter 'exited=x'"),
        ({"expose": ["x"]}, "invalid filter 'expose=x'"),
        ({"publish": ["90-80"]}, "invalid filter 'publish=90-80'"),
        ({"is-task": ["x"]}, "invalid filter 'is-task"),
    ],
)
def test_nonsense_is_refused(wanted: dict[str, list[str]], message: str) -> None:
    with pytest.raises(InvalidArgument) as failure:
        select(wanted)
    assert message in failure.value.message


def test_the_container_of_a_period_must_exist() -> None:
    with pytest.raises(NotFound, match="No such container: nobody"):
        select({"before": ["nobody"]})


def test_what_can_be_pruned() -> None:
    def prunable(wanted: dict[str, list[str]]) -> list[str]:
        return [each.name for each in filters.prunable(CONTAINERS, wanted, now=10**18)]

    assert prunable({}) == ["web-2", "fresh"]
    assert prunable({"label": ["old"]}) == ["web-2"]
    assert prunable({"label!": ["old"]}) == ["fresh"]
    assert prunable({"until": ["1s"]}) == ["web-2", "fresh"]
    assert prunable({"until": ["0.000000003"]}) == ["web-2"]
    with pytest.raises(InvalidArgument):
        prunable({"name": ["x"]})
