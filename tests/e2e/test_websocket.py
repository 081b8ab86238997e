"""Attaching over a WebSocket, with a client that keeps to RFC 6455 and one that does not."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import socket
import struct
import time
from collections.abc import Callable, Iterator

import pytest
import websocket  # type: ignore[import-untyped]

from rig.api import Api
from rig.engine import Engine, eventually

OPCODES = {"continuation": 0, "text": 1, "binary": 2, "close": 8, "ping": 9, "pong": 10}


Connect = Callable[..., websocket.WebSocket]


@pytest.fixture
def connect(api: Api) -> Iterator[Connect]:
    """Makes WebSockets on the engine's unix socket."""
    with contextlib.ExitStack() as opened:

        def connect(name: str, version: str = "v1.50", **query: object) -> websocket.WebSocket:
            plain = opened.enter_context(socket.socket(socket.AF_UNIX))
            plain.settimeout(20)
            plain.connect(api.path)
            wanted = "&".join(f"{key}={value}" for key, value in query.items())
            client = websocket.WebSocket(skip_utf8_validation=True)
            client.connect(f"ws://localhost/{version}/containers/{name}/attach/ws?{wanted}", socket=plain)
            return client

        yield connect


def output(client: websocket.WebSocket) -> bytes:
    """All that comes until the server closes."""
    data = b""
    while True:
        opcode, piece = client.recv_data()
        if opcode == OPCODES["close"]:
            assert struct.unpack(">H", piece[:2])[0] == 1000
            return data
        data += piece


@pytest.fixture
def echoing(api: Api) -> Iterator[str]:
    """A container that says what it is told, not started."""
    name = api.post("/containers/create", {
        "Image": "busybox", "Cmd": ["cat"], "OpenStdin": True, "StdinOnce": True,
    }).json["Id"]  # fmt: skip
    yield name


BOTH_WAYS = {"stream": 1, "stdin": 1, "stdout": 1, "stderr": 1}


def test_from_the_first_byte_to_the_close(api: Api, connect: Connect) -> None:
    command = "echo out; sleep 0.2; echo err >&2"
    name = api.post("/containers/create", {"Image": "busybox", "Cmd": ["sh", "-c", command]}).json["Id"]
    client = connect(name, stream=1, stdout=1, stderr=1)
    api.post(f"/containers/{name}/start")
    assert client.recv_data() == (OPCODES["binary"], b"out\n")
    assert output(client) == b"err\n"
    client = connect(name, logs=1, stdout=1, stderr=1)  # of a container that has ended: the log
    assert output(client) == b"out\nerr\n"


def test_messages_in_every_form_are_input(api: Api, connect: Connect, echoing: str) -> None:
    client = connect(echoing, **BOTH_WAYS)
    client.send_text("täxt ")
    client.send_binary(b"\xff\x00 ")
    api.post(f"/containers/{echoing}/start")
    first, second, third = os.urandom(10), os.urandom(1 << 17), b"\n"
    client.send_frame(websocket.ABNF.create_frame(first, OPCODES["binary"], fin=0))
    client.ping("in the middle of a message")
    client.send_frame(websocket.ABNF.create_frame(second, OPCODES["continuation"], fin=0))
    client.send_frame(websocket.ABNF.create_frame(third, OPCODES["continuation"], fin=1))
    wanted = "täxt ".encode() + b"\xff\x00 " + first + second + third
    data, pongs = b"", []
    while len(data) < len(wanted) or not pongs:
        opcode, piece = client.recv_data(control_frame=True)
        if opcode == OPCODES["pong"]:
            pongs.append(piece)
        else:
            data += piece
    assert (data, pongs) == (wanted, [b"in the middle of a message"])
    client.send_close()  # the end of the input, and with StdinOnce the container's
    assert api.post(f"/containers/{echoing}/wait").json["StatusCode"] == 0


def test_old_clients_get_text(api: Api, connect: Connect) -> None:
    command = ["printf", r"\303\244\377"]
    name = api.post("/containers/create", {"Image": "busybox", "Cmd": command}).json["Id"]
    client = connect(name, "v1.27", stream=1, stdout=1)
    api.post(f"/containers/{name}/start")
    assert client.recv_data() == (OPCODES["text"], "ä�".encode())


def test_a_terminal_and_its_detach_keys(api: Api, connect: Connect) -> None:
    body = {"Image": "busybox", "Cmd": ["cat"], "OpenStdin": True, "Tty": True}
    name = api.post("/containers/create", body).json["Id"]
    api.post(f"/containers/{name}/start")
    client = connect(name, detachKeys="ctrl-x,x", **BOTH_WAYS)
    client.send_text("hello\n")
    said = b""
    while said.count(b"hello") < 2:
        said += client.recv_data()[1]
    client.send_binary(b"\x18x")
    output(client)
    assert api.get(f"/containers/{name}/json").json["State"]["Running"]
    filters = json.dumps({"container": [name], "event": ["attach", "detach"]})
    events = api.get("/events", since="1", until=f"{time.time():.9f}", filters=filters).body.splitlines()
    assert [json.loads(line)["Action"] for line in events] == ["attach", "detach"]


REFUSED = [
    ({"Upgrade": "h2c"}, b"not websocket protocol"),
    ({"Sec-WebSocket-Version": "8"}, b"missing or bad WebSocket Version"),
    ({"Sec-WebSocket-Key": "short"}, b"mismatch challenge/response"),
    ({"Sec-WebSocket-Key": "***"}, b"mismatch challenge/response"),
]
HANDSHAKE = {
    "Host": "docker",
    "Connection": "keep-alive, Upgrade",
    "Upgrade": "WebSocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": base64.b64encode(b"0123456789abcdef").decode(),
}


def handshake(api: Api, name: str, headers: dict[str, str]) -> tuple[socket.socket, bytes]:
    plain = socket.socket(socket.AF_UNIX)
    plain.settimeout(20)
    plain.connect(api.path)
    lines = [f"{key}: {value}\r\n" for key, value in {**HANDSHAKE, **headers}.items()]
    plain.sendall(f"GET /containers/{name}/attach/ws?stream=1&stdin=1&stdout=1 HTTP/1.1\r\n".encode()
                  + "".join(lines).encode() + b"\r\n")  # fmt: skip
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += plain.recv(1)
    return plain, head


@pytest.mark.parametrize(("headers", "text"), REFUSED)
def test_handshakes_that_are_none(api: Api, echoing: str, headers: dict[str, str], text: bytes) -> None:
    plain, head = handshake(api, echoing, headers)
    with plain:
        assert head.startswith(b"HTTP/1.1 400 Bad Request\r\n")
        assert plain.recv(1000) == text and plain.recv(1) == b""


def test_errors_come_before_the_handshake(api: Api, echoing: str) -> None:
    assert api.get("/containers/nobody/attach/ws").message == "No such container: nobody"
    assert api.get(f"/containers/{echoing}/attach/ws", detachKeys="ctrl-1").status == 400


VIOLATIONS = [
    ("no mask", bytes([0x82, 1]) + b"x", 1002),
    ("a reserved bit", bytes([0xC2, 0x81]) + bytes(4) + b"x", 1002),
    ("a reserved opcode", bytes([0x83, 0x81]) + bytes(4) + b"x", 1002),
    ("a long ping", bytes([0x89, 0xFE, 0, 126]) + bytes(4) + bytes(126), 1002),
    ("a continuation of nothing", bytes([0x80, 0x81]) + bytes(4) + b"x", 1002),
    ("a length of more than 63 bits", bytes([0x82, 0xFF]) + b"\xff" * 8 + bytes(4), 1002),
    ("text that is none", bytes([0x81, 0x82]) + bytes(4) + b"\xff\xff", 1007),
]


@pytest.mark.parametrize(("frame", "code"), [row[1:] for row in VIOLATIONS], ids=[row[0] for row in VIOLATIONS])
def test_violations_of_the_protocol(api: Api, echoing: str, frame: bytes, code: int) -> None:
    plain, head = handshake(api, echoing, {})
    with plain:
        assert b"101 Switching Protocols" in head
        plain.sendall(frame)
        answer = plain.recv(1000)
        assert answer[0] == 0x88 and struct.unpack(">H", answer[2:4])[0] == code
        assert plain.recv(1000) == b""


def test_a_client_that_leaves_is_forgotten(engine: Engine, api: Api, echoing: str) -> None:
    before = engine.descriptors()
    for _ in range(40):
        plain, _ = handshake(api, echoing, {})
        plain.sendall(bytes([0x82, 0xFF]) + struct.pack(">Q", 1 << 40) + bytes(4) + b"the begin of a terabyte")
        plain.close()
    assert eventually(lambda: engine.descriptors() <= before + 15)  # shims are prepared meanwhile


@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_docker_py(engine: Engine, echoing: str) -> None:
    """It opens WebSockets of engines on TCP only: here it is given the way to the local socket."""
    import docker

    class Sdk(docker.APIClient):  # type: ignore[misc]
        def _create_websocket_connection(self, url: str) -> websocket.WebSocket:
            plain = socket.socket(socket.AF_UNIX)
            plain.connect(str(engine.socket))
            return websocket.create_connection(url.replace("http+docker", "ws"), socket=plain)

    sdk = Sdk(base_url=engine.host)
    client = sdk.attach_socket(echoing, params={"stdin": 1, "stdout": 1, "stream": 1}, ws=True)
    sdk.start(echoing)
    client.send("hello\n")
    assert client.recv() == b"hello\n"
    client.close()
    sdk.close()


def test_a_long_log_from_the_beginning(api: Api, connect: Connect) -> None:
    """Longer than what sockets hold: it is sent while the client reads."""
    name = api.post("/containers/create", {"Image": "busybox", "Cmd": ["seq", "300000"]}).json["Id"]
    api.post(f"/containers/{name}/start")
    api.post(f"/containers/{name}/wait")
    said = output(connect(name, logs=1, stdout=1))
    assert said == b"".join(b"%d\n" % number for number in range(1, 300_001))
