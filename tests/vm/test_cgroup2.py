"""A part of the suite again, in a virtual machine with systemd and nothing but cgroup v2.

The machine is software-emulated where there is no KVM: ten times slower, so patience is longer there and
only what depends on the kernel's setup runs: everything marked `cgroup2`, with one of the clients.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from rig import cache
from rig.clients import find
from rig.needs import need

PROJECT = Path(__file__).parent.parent.parent
RUNNER = PROJECT.parent / "shared" / "vm-run"
LIMIT = 900  # seconds for the run inside
TOOLS = ("docker-registry", "nft")  # taken along from this machine


@pytest.mark.timeout(LIMIT + 400)  # the first run of all makes the machine's image
def test_part_of_the_suite_under_pure_cgroup2(tmp_path: Path) -> None:
    need(RUNNER.exists(), f"{RUNNER} to run a virtual machine")
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in TOOLS:
        shutil.copy2(shutil.which(name) or name, tools / name)
    shutil.copy2(find("docker")[0], tools / "docker")
    shares = [f"{PROJECT}:{PROJECT}:ro", f"{tools}:/opt/tools:ro", f"{cache.directory()}:/opt/cache:ro"]
    if not sys.base_prefix.startswith("/usr"):
        shares.append(f"{sys.base_prefix}:{sys.base_prefix}:ro")
    inside = [
        "env", "PATH=/opt/tools:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "PYTHONDONTWRITEBYTECODE=1",
        "PROA_MUST_WORK=1", "PROA_TEST_PATIENCE=12", "PROA_TEST_CACHE=/opt/cache", "HOME=/root",
        str(PROJECT / ".venv/bin/pytest"), "-m", "cgroup2", "-p", "no:cacheprovider", "--timeout=600",
        "-o", "faulthandler_timeout=580", "-q", "-k", "not proa",
        "tests/suites", "tests/unit/cgroups", "tests/e2e",
    ]  # fmt: skip
    inside = [word for word in inside if not word.startswith("tests/") or (PROJECT / word).exists()]
    sharing = [word for share in shares for word in ("--share", share)]
    command = [str(RUNNER), "exec", *sharing, "--cwd", str(PROJECT), "--timeout", str(LIMIT), "--", *inside]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=dict(os.environ))
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-4000:]
    closing = re.search(r"(\d+) passed", done.stdout)
    assert closing and int(closing[1]) >= 5, done.stdout[-2000:]
