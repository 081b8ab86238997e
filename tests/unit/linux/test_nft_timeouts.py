"""Sets of nf_tables whose elements go by themselves, or that packets fill and count; and hearing of packets."""

from __future__ import annotations

import errno
import shutil
import socket
import time
from select import select

import pytest

from proa.linux import nft_expressions as expression
from proa.linux import nftables as nf
from proa.linux.nflog import Listener
from proa.linux.nftables import Nftables, Transaction
from rig.needs import need
from rig.private_network import nft, private_network, wait_until

pytestmark = pytest.mark.usefixtures("root")

ADDRESS = bytes((127, 0, 0, 2))
GROUP = 7


def table(*, size: int = 0) -> Transaction:
    transaction = Transaction()
    transaction.table("t")
    transaction.set("t", "open", nf.IPV4_ADDR, size=size, timed=True)
    return transaction


def put(nftables: Nftables, keys: dict[bytes, int]) -> None:
    transaction = Transaction()
    transaction.timed_elements("t", "open", keys)
    nftables.commit(transaction)


def left(nftables: Nftables) -> dict[bytes, int]:
    return {each.key: each.expires for each in nftables.listed(nf.NFPROTO_INET, "t", "open")}


@private_network
def test_elements_go_when_their_time_has_come() -> None:
    with Nftables() as nftables:
        nftables.commit(table())
        put(nftables, {ADDRESS: 1, bytes(4): 60})
        (element, _other) = sorted(nftables.listed(nf.NFPROTO_INET, "t", "open"), key=lambda each: -each.key[0])
        assert element.timeout == 1000 and 0 < element.expires <= 1000 and element.packets == 0
        wait_until(lambda: left(nftables).keys() == {bytes(4)}, 5)


@private_network
def test_a_timeout_begins_anew() -> None:
    """Kernels before 6.12 leave the one of an element that is there as it is."""
    with Nftables() as nftables:
        nftables.commit(table())
        put(nftables, {ADDRESS: 1})
        put(nftables, {ADDRESS: 60})
        assert left(nftables)[ADDRESS] > 50_000
        put(nftables, {ADDRESS: 10})  # shorter, too
        assert left(nftables)[ADDRESS] <= 10_000
        time.sleep(1.2)
        assert left(nftables).keys() == {ADDRESS}


@private_network
def test_a_set_has_a_size() -> None:
    with Nftables() as nftables:
        nftables.commit(table(size=2))
        put(nftables, {bytes(4): 60, ADDRESS: 60})
        put(nftables, {bytes(4): 60, ADDRESS: 60})  # those are there already
        with pytest.raises(OSError) as caught:
            put(nftables, {bytes((1, 1, 1, 1)): 60})
        assert caught.value.errno == errno.ENFILE


@private_network
def test_nft_reads_what_was_written() -> None:
    need(shutil.which("nft"), "nft")
    transaction = table(size=9)
    transaction.set("t", "seen", nf.IPV4_ADDR + nf.INET_SERVICE, size=5, counted_for=60)
    transaction.chain("t", "side")
    transaction.rule("t", "side", expression.extension_header(43), expression.equal(b"\1"), expression.prohibit())
    transaction.rule("t", "side", expression.limit(10, 5), expression.log(GROUP))
    transaction.rule("t", "side", expression.meta(expression.META_L4PROTO), expression.equal(b"\x06"),
                     expression.payload(expression.PAYLOAD_TRANSPORT_HEADER, 2, 2),
                     expression.between(b"\0\x50", b"\0\x5a"), expression.reset())  # fmt: skip
    transaction.base_chain("t", "out", kind="filter", hook=nf.NF_INET_LOCAL_OUT, priority=0)
    transaction.rule("t", "out", expression.go_to("side"))
    with Nftables() as nftables:
        nftables.commit(transaction)
    listing = " ".join(nft("list", "table", "inet", "t").split())
    for part in (
        "set open { type ipv4_addr size 9 flags timeout }",
        "set seen { type ipv4_addr . inet_service size 5 flags dynamic,timeout counter timeout 1m }",
        "exthdr rt exists reject with icmpx admin-prohibited",
        f"limit rate 10/second log group {GROUP}",
        "tcp dport 80-90 reject with tcp reset",
        "goto side",
    ):
        assert part in listing


def counted() -> Transaction:
    """Packets to ADDRESS are counted by their port, and logged."""
    transaction = Transaction()
    transaction.table("t")
    transaction.set("t", "seen", nf.IPV4_ADDR + nf.INET_SERVICE, size=2, counted_for=60)
    transaction.base_chain("t", "out", kind="filter", hook=nf.NF_INET_LOCAL_OUT, priority=0)
    destination = expression.payload(expression.PAYLOAD_NETWORK_HEADER, 16, 4)
    port = expression.payload(expression.PAYLOAD_TRANSPORT_HEADER, 2, 2, 9)
    here = (destination, expression.equal(ADDRESS))
    transaction.rule("t", "out", *here, port, expression.update("seen"))
    transaction.rule("t", "out", *here, expression.log(GROUP))
    return transaction


def send(*ports: int) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        for port in ports:
            client.sendto(b"ahoy", (socket.inet_ntoa(ADDRESS), port))


@private_network
def test_packets_fill_and_count() -> None:
    with Nftables() as nftables:
        nftables.commit(counted())
        send(80, 80, 81, 82)
        found = {each.key[4:6]: each for each in nftables.listed(nf.NFPROTO_INET, "t", "seen")}
        assert {key: each.packets for key, each in found.items()} == {
            b"\0\x50": 2,
            b"\0\x51": 1,
        }  # no room for more
        assert 50_000 < found[b"\0\x50"].expires <= 60_000


@private_network
def test_a_listener_is_woken() -> None:
    with Nftables() as nftables:
        nftables.commit(counted())
    listener = Listener(GROUP)
    with pytest.raises(OSError) as caught:
        Listener(GROUP)
    assert (caught.value.errno, caught.value.filename) == (errno.EPERM, f"listen to NFLOG group {GROUP}")
    assert select([listener], [], [], 0)[0] == []
    send(80, 81)
    assert select([listener], [], [], 5)[0]
    listener.drain()
    assert select([listener], [], [], 0)[0] == []
    listener.drain()
    listener.close()
    Listener(GROUP).close()


@private_network
def test_a_chain_is_emptied_and_a_set_deleted() -> None:
    transaction = table()
    transaction.chain("t", "side")
    destination = expression.payload(expression.PAYLOAD_NETWORK_HEADER, 16, 4)
    transaction.rule("t", "side", destination, expression.lookup("open"), expression.verdict(nf.NF_ACCEPT))
    change = Transaction()
    change.flush_chain("t", "side")
    change.delete_set("t", "open")
    with Nftables() as nftables:
        nftables.commit(transaction)
        nftables.commit(change)
        assert nftables.rules(nf.NFPROTO_INET, "t", "side") == []
        with pytest.raises(FileNotFoundError):
            put(nftables, {ADDRESS: 1})
