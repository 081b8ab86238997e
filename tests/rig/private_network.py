"""Network namespaces for tests: every test gets a host, and the machine's own is never touched.

A namespace belongs to a thread, and the threads and processes it starts: no fork is needed. It is gone when
they have ended.
"""

from __future__ import annotations

import functools
import os
import socket
import struct
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import ParamSpec, TypeVar

from proa.linux import rtnetlink
from proa.linux.namespaces import CLONE_NEWNET, setns, unshare
from proa.linux.netlink import Socket

P = ParamSpec("P")
R = TypeVar("R")
_opened: list[int] = []


def private_network(test: Callable[P, R]) -> Callable[P, R]:
    """Run a test in a new network namespace, whose loopback interface is up."""

    @functools.wraps(test)
    def run(*arguments: P.args, **options: P.kwargs) -> R:
        def body() -> R:
            unshare(CLONE_NEWNET)
            rtnetlink.loopback_up()
            # A new namespace copies this setting of the machine's.
            _write("/proc/sys/net/ipv4/ip_forward", b"0")
            return test(*arguments, **options)

        try:
            with ThreadPoolExecutor(1) as executor:
                return executor.submit(body).result()
        finally:
            close_namespaces()

    return run


def close_namespaces() -> None:
    """Close what `new_namespace` opened; those of a test are closed at its end anyway."""
    while _opened:
        os.close(_opened.pop())


def _write(path: str, value: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(descriptor, value)
    finally:
        os.close(descriptor)


def inside(namespace: int, work: Callable[[], R]) -> R:
    """Return what `work` returns in a namespace."""

    def body() -> R:
        setns(namespace, CLONE_NEWNET)
        return work()

    with ThreadPoolExecutor(1) as executor:
        return executor.submit(body).result()


def new_namespace() -> int:
    """Return a descriptor of a new namespace, loopback up; it is closed at the end of the test."""

    def body() -> int:
        unshare(CLONE_NEWNET)
        rtnetlink.loopback_up()
        _opened.append(os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC))
        return _opened[-1]

    with ThreadPoolExecutor(1) as executor:
        return executor.submit(body).result()


def neighbour(name: str, here: str, there: str, *, mtu: int = 1500, default: bool = False) -> int:
    """Plug a new namespace, another host, into this one; addresses are like "10.0.0.1/24".

    `default` makes it this host's way to the world.
    """
    namespace = new_namespace()
    with Socket() as route:
        mac = bytes([2, *os.urandom(5)])
        peer_mac = bytes([2, *os.urandom(5)])
        route.execute(rtnetlink.add_veth(name, "eth0", mac=mac, peer_mac=peer_mac, mtu=mtu, peer_netns=namespace))
        _configure(route, name, here)
        if default:
            link = rtnetlink.link(route, name)
            assert link is not None
            gateway = socket.inet_aton(there.partition("/")[0])
            inside(namespace, lambda: _configure_new("eth0", there))
            route.execute(rtnetlink.add_route(link.index, gateway=gateway))
            return namespace
    inside(namespace, lambda: _configure_new("eth0", there))
    return namespace


@contextmanager
def other_host(name: str, here: Sequence[str], there: Sequence[str]) -> Iterator[int]:
    """As `neighbour`, also for IPv6, in the namespace of the machine: nothing of it stays."""
    namespace = new_namespace()
    try:
        with Socket() as route:
            mac, peer_mac = (bytes([2, *os.urandom(5)]) for _ in range(2))
            route.execute(
                rtnetlink.add_veth(name, "eth0", mac=mac, peer_mac=peer_mac, mtu=1500, peer_netns=namespace)
            )
            for address in here:
                _configure(route, name, address)
        for address in there:
            inside(namespace, lambda: _configure_new("eth0", address))  # noqa: B023 - it is called at once
        yield namespace
    finally:
        with Socket() as route:
            link = rtnetlink.link(route, name)
            if link is not None:
                route.execute(rtnetlink.delete_link(link.index, name))
        _opened.remove(namespace)
        os.close(namespace)


def _configure_new(name: str, address: str) -> None:
    with Socket() as route:
        _configure(route, name, address)


def _configure(route: Socket, name: str, address: str) -> None:
    link = rtnetlink.link(route, name)
    assert link is not None
    host, _, length = address.partition("/")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    if family == socket.AF_INET6:  # usable at once, without asking others for it first
        _write(f"/proc/sys/net/ipv6/conf/{name}/accept_dad", b"0")
    route.execute(
        rtnetlink.add_address(link.index, socket.inet_pton(family, host), int(length)),
        rtnetlink.set_link(link.index, name, up=True),
    )


def ping(address: str, timeout: float = 1.0) -> bool:
    """Whether `address` answers an ICMP echo request."""
    # A number of its own: to the kernel's connection tracking it is a new connection.
    number = int.from_bytes(os.urandom(2), "big") & 0x7FFF
    request = struct.pack("!BBHHH", 8, 0, ~(0x0800 + number) & 0xFFFF, number, 0)
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as raw:
        raw.settimeout(timeout)
        try:
            raw.sendto(request, (address, 0))
            while True:
                data, (source, _) = raw.recvfrom(2048)
                if source == address and data[20] == 0:
                    return True
        except OSError:
            return False


@contextmanager
def echo(server: int, port: int = 7000) -> Iterator[Future[str]]:
    """Serve one TCP client in the namespace `server`; the future has the client's address as seen there."""

    def serve(listener: socket.socket) -> str:
        connection, (peer, *_) = listener.accept()
        with connection:
            connection.sendall(connection.recv(100))
        return str(peer).removeprefix("::ffff:")

    with inside(server, lambda: dual_stack(port)) as listener:
        listener.settimeout(3)
        with ThreadPoolExecutor(1) as executor:
            yield executor.submit(serve, listener)


@contextmanager
def echo_datagrams(server: int, port: int = 7000) -> Iterator[list[str]]:
    """Answer datagrams in a namespace; yields the addresses they came from."""
    clients: list[str] = []
    done = False

    def serve(bound: socket.socket) -> None:
        while not done:
            try:
                data, client = bound.recvfrom(100)
            except TimeoutError:
                continue
            clients.append(client[0])
            bound.sendto(data, client)

    with inside(server, lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as bound:
        bound.bind(("0.0.0.0", port))
        bound.settimeout(0.1)
        with ThreadPoolExecutor(1) as executor:
            executor.submit(serve, bound)
            try:
                yield clients
            finally:
                done = True


def dual_stack(port: int) -> socket.socket:
    return socket.create_server(("::", port), family=socket.AF_INET6, dualstack_ipv6=True)


def connect(address: str, port: int = 7000, timeout: float = 2.0) -> bool:
    """Whether a TCP server at `address` echoes."""
    try:
        with socket.create_connection((address, port), timeout) as client:
            client.sendall(b"ahoy")
            return client.recv(100) == b"ahoy"
    except OSError:
        return False


def nft(*arguments: str) -> str:
    """Run nft(8) in this namespace, for what others do and what an independent reader sees."""
    return subprocess.run(["nft", *arguments], check=True, capture_output=True, text=True).stdout


def wait_until(condition: Callable[[], object], seconds: float = 3.0) -> None:
    """Wait for what the kernel or a thread does by and by."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.005)
