"""What ran in the virtual machine meanwhile: rig/vm.py."""

from __future__ import annotations

import re

import pytest

from rig.vm import LIMIT, VirtualRun


@pytest.mark.timeout(2 * LIMIT + 400)  # the first run of all makes the machine's image
def test_part_of_the_suite_under_pure_cgroup2(virtual_run: VirtualRun) -> None:
    code, said = virtual_run.wait()
    assert code == 0, said[-12000:]
    closing = re.search(r"(\d+) passed", said)
    assert closing and int(closing[1]) >= 60, said[-2000:]
    print(said[-3000:])
