"""The real process, asked from namespaces by sockets and by dig: its names, and how it minds its containers."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from pathlib import Path

import pytest

from proa.dns import process, protocol
from proa.linux import packets
from proa.network.name_sockets import open_in
from rig.name_process import NameProcess, ask, describe, dig, exchange, on, stream
from rig.nameserver import encode_name, parse, query
from rig.private_network import inside, new_namespace, nft, private_network, wait_until

pytestmark = pytest.mark.root


@private_network
def test_names_of_a_network(tmp_path: Path) -> None:
    with NameProcess(tmp_path) as server:
        web = server.container("web", on("back", ["web"], "10.0.0.2"))
        server.container("db", on("back", ["db", "Store"], "10.0.0.1", "fd00::1"))
        stranger = server.container("x", on("front", ["x"], "10.9.0.1"))
        assert ask(web, "db").addresses == ["10.0.0.1"]
        assert ask(web, "DB.Back.").addresses == ["10.0.0.1"]
        assert ask(web, "store", "AAAA").addresses == ["fd00::1"]
        empty = ask(web, "web", "AAAA")
        assert (empty.code, empty.answers) == (0, [])
        assert ask(web, "db", "MX").answers == ask(web, "db", "HTTPS").answers == []
        assert ask(stranger, "db").code == 2  # and no server to ask
        backwards = ask(web, "1.0.0.10.in-addr.arpa", "PTR")
        assert backwards.answers[0].content == encode_name("db.back")


@private_network
def test_as_dig_sees_it(tmp_path: Path) -> None:
    with NameProcess(tmp_path) as server:
        web = server.container("web", on("back", ["web"], "10.0.0.2"))
        for number in range(60):
            server.put(f"api{number}", describe(on("back", ["api"], f"10.1.0.{number}")))
        assert "600\tIN\tA\t10.0.0.2" in dig(web, "web", "+noedns")
        shown = dig(web, "web")
        assert "status: NOERROR" in shown and "flags: qr rd ra" in shown
        assert "EDNS: version: 0" in shown and "WARNING" not in shown
        assert dig(web, "+tcp", "+short", "web") == "10.0.0.2\n"
        assert dig(web, "+short", "-x", "10.0.0.2") == "web.back.\n"
        # What does not fit is truncated, and asked for again over TCP.
        assert len(dig(web, "+short", "+noedns", "api").splitlines()) == 60
        assert "flags: qr tc rd ra" in dig(web, "+noedns", "+ignore", "api")
        assert len(dig(web, "+short", "+bufsize=4096", "api").splitlines()) == 60


@private_network
def test_port_53_is_the_containers(tmp_path: Path) -> None:
    with NameProcess(tmp_path) as server:
        web = server.container("web", on("back", ["web"], "10.0.0.2"))

        def own_server() -> None:
            with (
                socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp,
                socket.create_server(("0.0.0.0", 53)),
            ):
                udp.bind(("0.0.0.0", 53))
                udp.sendto(query("web"), ("127.0.0.11", 53))
                answer, sender = udp.recvfrom(1 << 16)
                assert sender == ("127.0.0.11", 53)
                assert parse(answer).addresses == ["10.0.0.2"]

        inside(web, own_server)


@pytest.mark.parametrize("tracked", [False, True], ids=["no firewall", "a firewall that tracks connections"])
@private_network
def test_through_the_containers_own_firewall(tmp_path: Path, tracked: bool) -> None:
    rules = """
        table ip own {
          chain output {
            type filter hook output priority filter
            ct state new udp dport 53 accept
            ct state new tcp dport 53 accept
            ct state established accept
            counter drop
          }
          chain input {
            type filter hook input priority filter
            ct state new udp dport 53 accept
            ct state new tcp dport 53 accept
            ct state established udp sport 53 accept
            ct state established tcp sport 53 accept
            ct state established tcp dport 53 accept
            counter drop
          }
        }"""
    with NameProcess(tmp_path) as server:
        web = server.container("web", on("back", ["web"], "10.0.0.2"))
        if tracked:
            inside(web, lambda: subprocess.run(["nft", "-f", "-"], input=rules, text=True, check=True))
        assert ask(web, "web").addresses == ["10.0.0.2"]
        assert dig(web, "+tcp", "+short", "web") == "10.0.0.2\n"
        if tracked:
            assert "counter packets 0 bytes 0 drop" in inside(web, lambda: nft("list", "table", "ip", "own"))


@private_network
def test_changes_while_it_is_asked(tmp_path: Path) -> None:
    with NameProcess(tmp_path) as server:
        web = server.container("web", on("back", ["web"], "10.0.0.2"))
        server.put("db", describe(on("back", ["db"], "10.0.0.1")))
        assert ask(web, "db").addresses == ["10.0.0.1"]
        server.put("db", describe(on("back", ["sql"], "10.0.0.1")))
        assert (ask(web, "db").code, ask(web, "sql").addresses) == (2, ["10.0.0.1"])
        server.put("web", describe(on("front", ["web"], "10.9.0.2")))  # as by connect and disconnect
        assert ask(web, "sql").code == 2
        server.tell("drop", id="db")
        server.tell("drop", id="never known")
        assert list(server.hello()["containers"]) == ["web"]


@private_network
def test_questions_one_behind_the_other_on_one_connection(tmp_path: Path) -> None:
    with NameProcess(tmp_path) as server:
        web = server.container("web", on("back", ["web"], "10.0.0.2"))
        questions = [query("web", number=number) for number in range(3000)]
        with stream(web) as connection, connection.makefile("rb") as reader:
            connection.sendall(b"".join(len(each).to_bytes(2, "big") + each for each in questions))
            connection.shutdown(socket.SHUT_WR)
            seen = [parse(reader.read(int.from_bytes(reader.read(2), "big"))) for _ in questions]
            assert [each.number for each in seen] == list(range(3000))
            assert {tuple(each.addresses) for each in seen} == {("10.0.0.2",)}
            assert reader.read() == b""


@private_network
def test_connections_beyond_the_limit_end_the_oldest(tmp_path: Path) -> None:
    with NameProcess(tmp_path) as server:
        web = server.container("web", on("back", ["web"], "10.0.0.2"))
        before = len(os.listdir(f"/proc/{server.process.pid}/fd"))
        crowd = [stream(web) for _ in range(200)]
        try:
            assert ask(web, "web").addresses == ["10.0.0.2"]
            assert dig(web, "+tcp", "+short", "web") == "10.0.0.2\n"
            assert len(os.listdir(f"/proc/{server.process.pid}/fd")) < before + 140
            assert crowd[0].recv(1) == b""
        finally:
            for each in crowd:
                each.close()
        wait_until(lambda: len(os.listdir(f"/proc/{server.process.pid}/fd")) == before)


@private_network
def test_it_goes_on_without_an_engine_until_the_last_container_has_ended(tmp_path: Path) -> None:
    with NameProcess(tmp_path) as server:
        web = server.container("web", on("back", ["web"], "10.0.0.2"))
        db = server.container("db", on("back", ["db"], "10.0.0.1"))
        first = subprocess.Popen(["sleep", "100"])
        second = subprocess.Popen(["sleep", "100"])
        server.tell("pid", id="web", pid=first.pid)
        server.tell("pid", id="db", pid=second.pid)
        server.hello()
        server.engine.close()
        assert ask(web, "db").addresses == ["10.0.0.1"]
        second.kill()
        second.wait()
        wait_until(lambda: ask(web, "db").code == 2)
        with pytest.raises(TimeoutError):
            exchange(db, query("db"), seconds=0.3)  # its sockets are gone
        with pytest.raises(ConnectionRefusedError):
            stream(db)
        # The next engine finds it, and learns what it knows.
        engine = protocol.connect(str(tmp_path))
        packets.send(engine, {"op": "hello"})
        assert packets.receive(engine)[0] == {
            "version": protocol.VERSION, "containers": {"web": first.pid}, "more": False,
        }  # fmt: skip
        engine.close()
        first.kill()
        first.wait()
        assert server.process.wait(10) == 0
        assert not (tmp_path / protocol.SOCKET_NAME).exists()


@private_network
def test_a_container_that_has_ended_before_it_is_told(tmp_path: Path) -> None:
    with NameProcess(tmp_path) as server:
        server.container("web", on("back", ["web"], "10.0.0.2"))
        gone = subprocess.Popen(["true"])
        gone.wait()
        server.tell("pid", id="web", pid=gone.pid)
        assert server.hello()["containers"] == {}


@private_network
def test_what_is_gone_is_let_go(tmp_path: Path) -> None:
    """Namespaces are gone when nobody has them: the server keeps none of a container that it has forgotten."""
    with NameProcess(tmp_path) as server:
        before = sorted(os.listdir(f"/proc/{server.process.pid}/fd"))
        servers = [{"address": "10.0.0.99", "host": False}]
        for number in range(5):
            web = server.container("web", on("back", ["web"], "10.0.0.2"), servers=servers)
            exchange_later = stream(web)
            server.put("web", describe(on("back", ["web"], "10.0.0.2")), open_in(new_namespace()))
            server.tell("drop", id="web")
            server.hello()
            exchange_later.close()
            assert number < 5
        wait_until(lambda: sorted(os.listdir(f"/proc/{server.process.pid}/fd")) == before)


@private_network
def test_it_can_do_little(tmp_path: Path) -> None:
    """What talks to containers may enter their network namespaces, and fill sets there."""
    with NameProcess(tmp_path) as server:
        status = Path(f"/proc/{server.process.pid}/status").read_text()
        sets = dict(line.split(":\t") for line in status.splitlines() if line.startswith(("Cap", "NoNewPrivs")))
        assert int(sets["CapEff"], 16) == int(sets["CapPrm"], 16) == 1 << 21 | 1 << 12  # SYS_ADMIN, NET_ADMIN
        assert sets["NoNewPrivs"] == "1"


@private_network
def test_a_crowd_does_not_hold_up_others(tmp_path: Path) -> None:
    with NameProcess(tmp_path) as server:
        web = server.container("web", on("back", ["web"], "10.0.0.2"))
        loud = server.container("loud", on("back", ["loud"], "10.0.0.3"))

        def shout() -> None:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
                client.connect(("127.0.0.11", 53))
                data = query("web")
                for _ in range(2000):
                    client.send(data)

        inside(loud, shout)
        began = time.monotonic()
        assert ask(web, "loud").addresses == ["10.0.0.3"]
        assert time.monotonic() - began < 1


@private_network
def test_what_is_wrong_with_one_container_harms_no_other(tmp_path: Path) -> None:
    """Descriptions come from the engine, in the right form; if not, it is the one container that has no names."""
    with NameProcess(tmp_path) as server:
        web = server.container("web", on("back", ["web"], "10.0.0.2"))
        for number, broken in enumerate(
            [
                {},
                describe({}),
                describe(on("back", ["web"], "10.0.0")),
                describe(on("back", [], "10.0.0.9"), servers=[{}]),
            ]
        ):
            server.tell("put", id=f"broken{number}", container=broken)
        server.tell("put", id="odd", container=describe(on("back", ["\ud800", "a..b", ""], "10.0.0.3")))
        server.tell("pid", id="web")
        assert server.hello()["containers"] == {}
        server.put("web", describe(on("back", ["web"], "10.0.0.2")), open_in(web))
        assert ask(web, "web").addresses == ["10.0.0.2"]
        assert len(ask(web, "3.0.0.10.in-addr.arpa", "PTR").answers) == 1


def test_a_container_whose_start_nobody_finished(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Killed between the sockets and the program, and no engine comes again: nothing stays."""
    monkeypatch.setattr(process, "_GRACE", 0.05)
    server = process.NameServer(str(tmp_path))
    ours, theirs = packets.pair()
    server.serve(theirs)
    packets.send(ours, {"op": "put", "id": "web", "container": describe(on("back", ["web"], "10.0.0.2"))})
    ours.close()
    server.loop.later(5, lambda: setattr(server.loop, "running", False))
    began = time.monotonic()
    server.loop.run()
    server.close()
    assert time.monotonic() - began < 4
    assert list(tmp_path.iterdir()) == []
