"""Transactions of nf_tables, read back by nft(8) and by packets."""

from __future__ import annotations

import errno
import os
import shutil
import sys
import time

import pytest

from proa.linux import nft_expressions as expression
from proa.linux import nftables as nf
from proa.linux.nftables import Nftables, Transaction
from rig.needs import need
from rig.private_network import connect, echo, inside, neighbour, nft, private_network

pytestmark = pytest.mark.usefixtures("root")


def table_with_set() -> Transaction:
    transaction = Transaction()
    transaction.table("t")
    transaction.set("t", "names", nf.IFNAME)
    return transaction


def commit(transaction: Transaction) -> None:
    with Nftables() as nftables:
        nftables.commit(transaction)


@private_network
def test_nft_reads_what_was_written() -> None:
    need(shutil.which("nft"), "nft")
    transaction = table_with_set()
    transaction.elements("t", "names", [nf.interface("eth0")])
    transaction.set("t", "published", nf.INET_PROTO + nf.INET_SERVICE, nf.IPV4_ADDR + nf.INET_SERVICE)
    key, value = nf.pad(b"\x06", b"\x00\x50"), nf.pad(bytes([172, 17, 0, 2]), b"\x1f\x90")
    transaction.mapping("t", "published", {key: value})
    transaction.chain("t", "side")
    transaction.base_chain("t", "in", kind="filter", hook=nf.NF_INET_LOCAL_IN, priority=-5, policy=nf.NF_DROP)
    transaction.rule("t", "in", expression.meta(expression.META_IIFNAME), expression.lookup("names"),
                     expression.jump("side"))  # fmt: skip
    transaction.rule("t", "in", expression.counter(), expression.verdict(nf.NF_ACCEPT), first=True)
    transaction.rule("t", "side", expression.leave())
    commit(transaction)
    listing = " ".join(nft("list", "table", "inet", "t").split())
    for part in (
        'set names { type ifname elements = { "eth0" } }',
        "map published { type inet_proto . inet_service : ipv4_addr . inet_service"
        " elements = { tcp . 80 : 172.17.0.2 . 8080 } }",
        "type filter hook input priority filter - 5; policy drop;"
        " counter packets 0 bytes 0 accept iifname @names jump side",
        "chain side { return }",
    ):
        assert part in listing


@private_network
def test_a_transaction_is_all_or_nothing() -> None:
    commit(table_with_set())
    broken = Transaction()
    broken.elements("t", "names", [nf.interface("a")])
    broken.delete_elements("t", "names", [nf.interface("missing")])
    with Nftables() as nftables:
        with pytest.raises(OSError) as caught:
            nftables.commit(broken)
        assert (caught.value.errno, caught.value.filename) == (errno.ENOENT, "delete elements of t names")
        assert nftables.elements(nf.NFPROTO_INET, "t", "names") == []


@private_network
def test_an_exclusive_element_is_an_allocator() -> None:
    commit(table_with_set())
    taken = Transaction()
    taken.elements("t", "names", [nf.interface("a")], exclusive=True)
    commit(taken)
    with pytest.raises(FileExistsError):
        commit(taken)


@private_network
def test_thousands_of_elements_in_one_transaction() -> None:
    transaction = table_with_set()
    transaction.elements("t", "names", [nf.interface(f"i{number}") for number in range(20_000)])
    with Nftables() as nftables:
        nftables.commit(transaction)
        # A dump misses some while the kernel is still enlarging the hash table in the background.
        deadline = time.monotonic() + 5
        while len(set(nftables.elements(nf.NFPROTO_INET, "t", "names"))) != 20_000:
            assert time.monotonic() < deadline
            time.sleep(0.05)


@private_network
def test_listing_and_deleting() -> None:
    transaction = table_with_set()
    transaction.base_chain("t", "fwd", kind="filter", hook=nf.NF_INET_FORWARD, priority=-10, policy=nf.NF_DROP)
    transaction.rule("t", "fwd", expression.verdict(nf.NF_ACCEPT), userdata=b"mine")
    transaction.rule("t", "fwd", expression.verdict(nf.NF_DROP))
    with Nftables() as nftables:
        nftables.commit(transaction)
        assert nftables.tables() == ["t"]
        (chain,) = nftables.chains()
        assert (chain.family, chain.table, chain.name, chain.kind) == (nf.NFPROTO_INET, "t", "fwd", "filter")
        assert (chain.hook, chain.priority, chain.policy) == (nf.NF_INET_FORWARD, -10, nf.NF_DROP)
        rules = nftables.rules(nf.NFPROTO_INET, "t", "fwd")
        assert [rule.userdata for rule in rules] == [b"mine", b""]
        change = Transaction()
        change.delete_rule("t", "fwd", rules[0].handle)
        nftables.commit(change)
        assert len(nftables.rules(nf.NFPROTO_INET, "t", "fwd")) == 1
        assert nftables.rules(nf.NFPROTO_INET, "t", "no-such-chain") == []
        gone = Transaction()
        gone.delete_table("t")
        nftables.commit(gone)
        assert nftables.tables() == []
        with pytest.raises(FileNotFoundError, match="delete table t"):
            nftables.commit(gone)


@private_network
def test_a_map_publishes_a_port() -> None:
    """What published ports are to be made of: one element sends connections to another address and port."""
    server = neighbour("server", "10.9.0.1/24", "10.9.0.2/24")
    client = neighbour("client", "10.8.0.1/24", "10.8.0.2/24")
    transaction = Transaction()
    transaction.table("t")
    transaction.set("t", "published", nf.INET_PROTO + nf.INET_SERVICE, nf.IPV4_ADDR + nf.INET_SERVICE)
    transaction.mapping(
        "t",
        "published",
        {nf.pad(b"\x06", (8080).to_bytes(2, "big")): nf.pad(bytes([10, 9, 0, 2]), (7000).to_bytes(2, "big"))},
    )
    transaction.base_chain("t", "prerouting", kind="nat", hook=nf.NF_INET_PRE_ROUTING, priority=nf.PRIORITY_DSTNAT)
    transaction.rule(
        "t",
        "prerouting",
        expression.fib_destination_type(),
        expression.equal(expression.RTN_LOCAL.to_bytes(4, sys.byteorder)),
        expression.meta(expression.META_L4PROTO),
        expression.payload(expression.PAYLOAD_TRANSPORT_HEADER, 2, 2, register=9),
        expression.lookup("published", result=1),
        expression.destination_nat(nf.NFPROTO_IPV4, 1, 9),
    )
    transaction.base_chain(
        "t", "postrouting", kind="nat", hook=nf.NF_INET_POST_ROUTING, priority=nf.PRIORITY_SRCNAT
    )
    transaction.rule("t", "postrouting", expression.masquerade())
    commit(transaction)
    descriptor = os.open("/proc/sys/net/ipv4/ip_forward", os.O_WRONLY)
    os.write(descriptor, b"1")
    os.close(descriptor)
    assert not inside(client, lambda: connect("10.8.0.1", 8081, timeout=0.3))
    with echo(server) as seen:
        assert inside(client, lambda: connect("10.8.0.1", 8080))
        assert seen.result() == "10.9.0.1"  # masqueraded
