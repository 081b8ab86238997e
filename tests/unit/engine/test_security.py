"""What confines containers: filters of those that egress rules hold for."""

from __future__ import annotations

import errno
import platform
import socket
from pathlib import Path

import pytest

from proa.engine.options import ContainerOptions
from proa.engine.security import Filters, Security
from proa.linux import syscalls
from proa.linux.seccomp import unpack
from rig import cbpf
from rig.needs import need

X86_64, X86 = 0xC000003E, 0x40000003
ALLOWED = 0x7FFF0000
FORBIDDEN, UNKNOWN = (0x00050000 | code for code in (errno.EPERM, errno.ENOSYS))
AF_TIPC, AF_VSOCK = 30, 40


@pytest.mark.parametrize(("guarded", "others"), [(False, ALLOWED), (True, FORBIDDEN)])
def test_only_sockets_that_egress_rules_see(tmp_path: Path, guarded: bool, others: int) -> None:
    need(platform.machine() == "x86_64", "x86_64")
    security = Security.of(ContainerOptions(image="busybox"), Filters(tmp_path), guarded=guarded)
    assert ("CAP_NET_RAW" in security.granted) is not guarded
    code = cbpf.program(unpack(Path(security.filter_path).read_bytes())[0])

    def decide(architecture: int, abi: str, name: str, *arguments: int) -> int:
        six = (*arguments, *(6 - len(arguments)) * (0,))
        return cbpf.run(code, architecture, syscalls.table(abi)[name], six)

    for architecture, abi in ((X86_64, "x86_64"), (X86, "x86")):
        for family in (socket.AF_UNIX, socket.AF_INET, socket.AF_INET6, socket.AF_NETLINK):
            assert decide(architecture, abi, "socket", family, 1, 0) == ALLOWED
        assert decide(architecture, abi, "socket", AF_TIPC, 1, 0) == others
        assert decide(architecture, abi, "socket", AF_VSOCK, 1, 0) == FORBIDDEN
        assert decide(architecture, abi, "connect", 3) == ALLOWED
        assert decide(architecture, abi, "io_uring_setup", 8) != ALLOWED
    for number in (1, 3):  # socket, connect
        assert decide(X86, "x86", "socketcall", number) == (UNKNOWN if guarded else ALLOWED)
    if guarded:  # in 64 bits: what is above does not count as an AF_INET
        assert decide(X86_64, "x86_64", "socket", 1 << 32 | AF_VSOCK, 1, 0) == FORBIDDEN
