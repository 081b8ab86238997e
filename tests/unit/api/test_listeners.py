"""Where the API listens: rights of the socket, leftovers, addresses that make no sense."""

from __future__ import annotations

import os
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from proa.api.listeners import listen
from proa.errors import InvalidArgument, Unavailable


def test_a_unix_socket_is_for_owner_and_group(tmp_path: Path) -> None:
    path = tmp_path / "sub" / "proa.sock"
    (listener,) = listen(f"unix://{path}")
    with listener:
        assert stat.S_IMODE(path.stat().st_mode) == 0o660
        assert path.stat().st_gid == os.getgid()
    (listener,) = listen(f"unix://{path}", "1234")
    with listener:
        assert path.stat().st_gid == 1234


def test_an_unknown_group_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgument, match="group nobodys not found"):
        listen(f"unix://{tmp_path}/s", "nobodys")
    assert not list(tmp_path.iterdir())


def test_a_leftover_is_replaced_but_a_listener_is_not(tmp_path: Path) -> None:
    address = f"unix://{tmp_path}/s"
    (first,) = listen(address)
    with pytest.raises(Unavailable, match="another engine is listening"):
        listen(address)
    first.close()
    (second,) = listen(address)
    second.close()


def test_a_file_in_the_way_stays(tmp_path: Path) -> None:
    (tmp_path / "s").write_text("precious")
    with pytest.raises(Unavailable, match="no socket is in the way"):
        listen(f"unix://{tmp_path}/s")
    assert (tmp_path / "s").read_text() == "precious"


def test_tcp(tmp_path: Path) -> None:
    (listener,) = listen("tcp://127.0.0.1:0")
    with listener:
        host, port = listener.getsockname()
        assert host == "127.0.0.1"
        with pytest.raises(Unavailable, match=f"can't listen on tcp://127.0.0.1:{port}"):
            listen(f"tcp://127.0.0.1:{port}")
    (listener,) = listen("tcp://[::1]:0")
    with listener:
        assert listener.family == socket.AF_INET6


@pytest.mark.parametrize(
    "host", ["", "/run/x", "http://x", "tcp://127.0.0.1:x", "tcp://127.0.0.1:70000", "npipe://x"]
)
def test_addresses_that_make_no_sense(host: str) -> None:
    with pytest.raises(InvalidArgument, match="invalid bind address"):
        listen(host)


def test_a_path_that_is_too_long_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="can't create unix socket"):
        listen(f"unix://{tmp_path}/{'x' * 200}")


def test_no_passed_sockets() -> None:
    with pytest.raises(Unavailable, match="socket activation"):
        listen("fd://")


_ACTIVATED = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.set_inheritable(3, True)
os.environ.update(LISTEN_FDS="1", LISTEN_PID=str(os.getpid()))
from proa.api.listeners import listen
listener, = listen("fd://")
assert not listener.get_inheritable() and not listener.getblocking()
print(listener.getsockname())
"""


def test_sockets_passed_by_the_service_manager(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "s"))
        listener.listen()
        command = [sys.executable, "-c", _ACTIVATED, str(listener.fileno())]
        result = subprocess.run(command, pass_fds=[listener.fileno()], capture_output=True, text=True, check=False)
    assert (result.stdout, result.stderr) == (f"{tmp_path}/s\n", "")
