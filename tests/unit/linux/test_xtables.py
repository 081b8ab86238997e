"""The policies of iptables' legacy interface, set by the real program."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from proa.linux import xtables
from proa.linux.nftables import NF_INET_FORWARD, NF_INET_LOCAL_IN
from rig.needs import need
from rig.private_network import private_network


@pytest.mark.usefixtures("root")
@private_network
def test_policies() -> None:
    program = shutil.which("iptables-legacy")
    need(program, "iptables-legacy")
    assert program
    assert not xtables.drops_by_policy("filter", NF_INET_FORWARD)
    started = subprocess.run([program, "-P", "FORWARD", "DROP"], capture_output=True)
    need(started.returncode == 0, "the kernel's legacy iptables interface")
    subprocess.run([program, "-A", "FORWARD", "-s", "10.0.0.0/8", "-j", "ACCEPT"], check=True)
    assert xtables.drops_by_policy("filter", NF_INET_FORWARD)
    assert not xtables.drops_by_policy("filter", NF_INET_LOCAL_IN)
    subprocess.run([program, "-P", "FORWARD", "ACCEPT"], check=True)
    assert not xtables.drops_by_policy("filter", NF_INET_FORWARD)
