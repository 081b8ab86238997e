"""The rig itself: what the other tests stand on has to be right first."""

from __future__ import annotations

import json
import subprocess

from rig import images
from rig.images import Image
from rig.registry import Registry
from rig.trees import Tree


def test_registry_serves_an_index_of_two_platforms(registry: Registry) -> None:
    index = registry.manifest("library/busybox", "latest")
    assert [entry["platform"]["architecture"] for entry in index["manifests"]] == ["amd64", "arm64"]


def test_another_client_accepts_the_images(registry: Registry) -> None:
    for name, layers in {
        "busybox:1.36": 1,
        "layers:latest": 3,
        "settings:latest": 3,
        "bare:latest": 1,
    }.items():
        seen = inspect(registry, f"library/{name}")
        assert len(seen["Layers"]) == layers, name


def test_ubuntu_is_a_distribution_in_four_layers(registry: Registry, ubuntu_image: Image) -> None:
    assert len(inspect(registry, "library/ubuntu:24.04")["Layers"]) == 4
    assert 20e6 < sum(map(len, ubuntu_image.blobs.values())) < 90e6


def test_the_same_tree_has_the_same_digest() -> None:
    made = [images.build([Tree().directory("d").file("d/f", b"x")]).digest for _ in range(2)]
    assert made[0] == made[1]


def inspect(registry: Registry, name: str) -> dict[str, list[str]]:
    command = ["skopeo", "inspect", "--tls-verify=false", f"docker://{registry.address}/{name}"]
    seen: dict[str, list[str]] = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    return seen
