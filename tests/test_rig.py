"""The rig itself: what the other tests stand on has to be right first."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
from pathlib import Path

import pytest

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


LEAKY = """
import os, signal, subprocess, tempfile

def test_leave_everything(tmp_path):
    subprocess.Popen(["unshare", "--net", "--mount", "sh", "-c", "mount -t tmpfs leaky " + str(tmp_path)
        + " && touch " + tempfile.gettempdir() + "/ready && exec sleep 30"])
    os.open("/", os.O_RDONLY)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    while not os.path.exists(tempfile.gettempdir() + "/ready"):
        pass

def test_skipped():
    import pytest
    pytest.skip("no reason")
"""


def test_the_leak_check_sees_what_is_left(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that leaves a process, its mount, network namespace, descriptor, handler, file fails for each."""
    monkeypatch.delenv("PROA_MUST_WORK", raising=False)
    pytester.makepyfile(LEAKY)
    pytester.makeconftest(
        "from rig import leaks\nleaks.PATIENCE = 0\n\ndef pytest_configure(config): leaks.install(config)\n"
    )
    environment = {"PYTHONPATH": str(Path(__file__).parent), "PROA_LEAKS": "all"}
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider")
    try:
        assert result.ret == pytest.ExitCode.TESTS_FAILED
        result.assert_outcomes(passed=1, skipped=1, errors=1)
        output = result.stdout.str()
        for kind in (
            "processes: ",
            "mounts: ",
            "network namespaces: ",
            "descriptors of pytest: ",
            "signal handlers of pytest: ",
            "files: ",
        ):
            assert f"  {kind}" in output, kind
    finally:
        for line in result.outlines:
            if match := re.match(r"  processes: (\d+) sleep 30$", line):
                os.kill(int(match[1]), signal.SIGKILL)


def test_a_skip_fails_where_everything_must_work(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("import pytest\n\ndef test_it(): pytest.skip('no reason')\n")
    pytester.makeconftest(
        "from rig.needs import MustWork\n\n"
        "def pytest_configure(config): config.pluginmanager.register(MustWork())\n"
    )
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider", "-o", f"pythonpath={Path(__file__).parent}")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*skipped although PROA_MUST_WORK=1: *no reason"])
