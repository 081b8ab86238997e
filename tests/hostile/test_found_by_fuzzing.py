"""What tests/fuzz has found in the real engine, one row each: it stays mended."""

from __future__ import annotations

import os
import random
import re
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from rig import rawtar
from rig.engine import eventually
from rig.fuzzing.world import FencedEngine, World


@pytest.fixture(scope="module")
def engine(root: None) -> Iterator[FencedEngine]:
    engine = FencedEngine(f"found-{os.getpid()}")
    try:
        engine.start()
        World(engine, random.Random(0)).furnish()
        yield engine
    finally:
        engine.stop()


def make(engine: FencedEngine, host_config: dict[str, Any] | None = None, **config: Any) -> str:
    body = {"Image": "busybox", "Cmd": ["sleep", "1000"], **config}
    body["HostConfig"] = {"NetworkMode": "none", **(host_config or {})}
    made = engine.api.post("/containers/create", body)
    assert made.status == 201, made
    return str(made.json["Id"])


def running(engine: FencedEngine, **config: Any) -> str:
    identifier = make(engine, **config)
    assert engine.api.post(f"/containers/{identifier}/start").status == 204
    return identifier


# What the kernel or a template does not take is the request's fault: 400 with the reason, at the first start as at
# any other (the shim that said so had left, and its words with it).
UNSTARTABLE: dict[str, tuple[dict[str, Any], str]] = {
    "real-time period": ({"CpuRealtimePeriod": (1 << 63) - 1}, "invalid argument"),
    "negative real-time period": ({"CpuRealtimePeriod": -100}, "invalid argument"),
    "device that is no disk": ({"BlkioDeviceReadBps": [{"Path": "/dev/null", "Rate": 1 << 62}]}, "no such device"),
    "tmpfs over /proc": ({"Tmpfs": {"/proc": ""}}, "not of type proc"),
    "broken tag": ({"LogConfig": {"Type": "json-file", "Config": {"tag": "{{.Nosuch"}}}, "unclosed action"),
}


@pytest.mark.parametrize("case", UNSTARTABLE)
def test_what_can_not_start_is_the_requests_fault(engine: FencedEngine, case: str) -> None:
    host_config, reason = UNSTARTABLE[case]
    identifier = make(engine, host_config)
    for _ in range(3):
        answer = engine.api.post(f"/containers/{identifier}/start")
        assert (answer.status, reason in answer.message) == (400, True), answer.message


def test_limits_that_the_kernel_refuses(engine: FencedEngine) -> None:
    answer = engine.api.post(f"/containers/{running(engine)}/update", {"CpuRealtimeRuntime": (1 << 31) - 1})
    assert (answer.status, "invalid argument" in answer.message) == (400, True)


@pytest.mark.parametrize("link", ["a:b:c:d", "sha256:", ":x"])
def test_links_that_are_none(engine: FencedEngine, link: str) -> None:
    body = {"Image": "busybox", "Cmd": ["true"], "HostConfig": {"Links": [link]}}
    answer = engine.api.post("/containers/create", body)
    assert (answer.status, answer.message) == (400, f"bad format for links: {link}")


def test_a_commit_of_what_is_being_removed(engine: FencedEngine) -> None:
    """Whichever comes first, the other is no failure."""
    seen = set()
    for _ in range(6):
        identifier = running(engine)
        with ThreadPoolExecutor(2) as pool:
            committing = pool.submit(engine.api.post, "/commit", {}, container=identifier, repo="going")
            time.sleep(random.random() / 50)
            assert engine.api.delete(f"/containers/{identifier}", force=1).status == 204
            seen.add(committing.result().status)
    assert seen <= {201, 404, 409}


def test_the_history_of_an_image_without_layers(engine: FencedEngine) -> None:
    made = engine.api.request("POST", "/images/create", rawtar.END, fromSrc="-", repo="hollow", tag="1")
    assert made.status == 200 and b"errorDetail" not in made.body, made
    (step,) = engine.api.get("/images/hollow:1/history").json
    assert step["Size"] == 0
    identifier = make(engine, Image="hollow:1")
    assert engine.api.post("/commit", {}, container=identifier, repo="hollow", tag="2").status == 201
    assert len(engine.api.get("/images/hollow:2/history").json) == 2


ARCHIVES: dict[str, tuple[str, str, bytes, str]] = {
    "name that is too long": ("HEAD", "/" + "a" * 5000, b"", ""),
    "the same, read": ("GET", "/" + "a" * 5000, b"", "file name too long"),
    "hard link to a directory": (
        "PUT",
        "/tmp",
        rawtar.header(b"x", kind=b"1", link=b"/etc") + rawtar.END,
        "not permitted|hard link|directory",
    ),
}


@pytest.mark.parametrize("case", ARCHIVES)
def test_archives_that_can_not_be(engine: FencedEngine, case: str) -> None:
    method, path, body, reason = ARCHIVES[case]
    answer = engine.api.request(method, f"/containers/{running(engine)}/archive", body or None, path=path)
    assert answer.status == 400, answer
    assert method == "HEAD" or re.search(reason, answer.message), answer


def test_an_archive_for_a_user_who_is_not_there(engine: FencedEngine) -> None:
    identifier = make(engine, User="-1")
    answer = engine.api.request("PUT", f"/containers/{identifier}/archive", rawtar.END, path="/tmp", copyUIDGID=1)
    assert (answer.status, "unable to find user -1" in answer.message) == (400, True)


def test_an_exec_of_an_engine_before(engine: FencedEngine) -> None:
    identifier = running(engine)
    made = engine.api.post(f"/containers/{identifier}/exec", {"Cmd": ["sleep", "1000"]}).json["Id"]
    assert engine.api.post(f"/exec/{made}/start", {"Detach": True}).status == 200
    engine.kill()
    engine.start()
    assert engine.api.get(f"/exec/{made}/json").json["Running"] is True


def test_asking_while_it_ends(engine: FencedEngine) -> None:
    """A container that ends at this moment does not run; it is no failure."""
    for verb, query in (("top", {"ps_args": "aux"}), ("pause", {}), ("resize", {"h": 3, "w": 4})):
        for _ in range(5):
            identifier = running(engine)
            ending = threading.Thread(target=engine.api.post, args=(f"/containers/{identifier}/kill",))
            ending.start()
            method = "GET" if verb == "top" else "POST"
            answer = engine.api.request(method, f"/containers/{identifier}/{verb}", **query)
            ending.join()
            assert answer.status in (200, 204, 409), answer
            engine.api.delete(f"/containers/{identifier}", force=1)


def test_an_exec_during_a_commit_comes_after_it(engine: FencedEngine) -> None:
    """The process would freeze on its way in, and the shim wait for it for ever."""
    script = "head -c 40000000 /dev/urandom >/f; echo there; exec sleep 1000"
    identifier = running(engine, Cmd=["sh", "-c", script])
    eventually(lambda: engine.api.get(f"/containers/{identifier}/logs", stdout=1).body.endswith(b"there\n"), 30)
    statuses: list[int] = []
    for _ in range(2):
        commit = threading.Thread(
            target=lambda: statuses.append(
                engine.api.post("/commit", container=identifier, repo="made/big").status
            )
        )
        commit.start()
        time.sleep(0.1)
        made = engine.api.post(f"/containers/{identifier}/exec", {"Cmd": ["true"], "AttachStdout": True})
        assert engine.api.post(f"/exec/{made.json['Id']}/start", {"Detach": True}).status == 200
        commit.join()
    assert statuses == [201, 201]
    # And a container can be removed while it is committed.
    commit.run = lambda: engine.api.post("/commit", container=identifier)  # type: ignore[method-assign]
    last = threading.Thread(target=commit.run)
    last.start()
    time.sleep(0.1)
    begun = time.monotonic()
    assert engine.api.delete(f"/containers/{identifier}", force=1).status == 204
    assert time.monotonic() - begun < 8
    last.join()


@pytest.mark.parametrize("labels", [{}, {"org.proa.ephemeral": "1"}], ids=["on disk", "in memory"])
@pytest.mark.parametrize("command", [["false"], ["sleep", "1000"]], ids=" ".join)
def test_all_verbs_at_once(engine: FencedEngine, labels: dict[str, str], command: list[str]) -> None:
    """Whoever wins: no failure, and what the record says in the end is true."""
    identifier = make(engine, Cmd=command, Labels=labels)
    deadline = time.monotonic() + 2
    odd: list[str] = []

    def repeat(verb: str) -> None:
        while time.monotonic() < deadline:
            answer = engine.api.post(f"/containers/{identifier}/{verb}", **({"t": 0} if "st" in verb else {}))
            if answer.status not in (204, 304, 409):
                odd.append(f"{verb}: {answer}")

    verbs = ("start", "restart", "stop", "kill", "pause", "unpause")
    threads = [threading.Thread(target=repeat, args=(verb,)) for verb in verbs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not odd
    assert engine.api.delete(f"/containers/{identifier}", force=1).status == 204


@pytest.mark.parametrize("variable", ["=x", ""])
def test_no_variable(engine: FencedEngine, variable: str) -> None:
    body = {"Cmd": ["true"], "Env": [variable]}
    answer = engine.api.post(f"/containers/{running(engine)}/exec", body)
    assert (answer.status, answer.message) == (400, f"invalid environment variable: {variable}")


@pytest.mark.parametrize("term", ["../../../../etc/passwd", "a..b/x"])
def test_searching_where_nothing_can_be(engine: FencedEngine, term: str) -> None:
    answer = engine.api.get("/images/search", term=term)
    assert (answer.status, "host" in answer.message) == (400, True), answer


def test_clients_that_leave_while_the_log_is_sent(engine: FencedEngine) -> None:
    identifier = running(engine, Cmd=["sh", "-c", "yes | head -c 3000000; exec sleep 1000"])
    time.sleep(0.5)
    before = engine.descriptors()
    for _ in range(10):
        connection = engine.api.hijack(f"/containers/{identifier}/attach", logs=1, stream=1, stdout=1)
        connection.recv(10)
        connection.shutdown(socket.SHUT_RDWR)
        connection.close()
    eventually(lambda: engine.descriptors() <= before)


@pytest.mark.parametrize("logs", [0, 1])
def test_nobody_waits_for_a_start_of_what_is_being_removed(engine: FencedEngine, logs: int) -> None:
    before = engine.descriptors()
    answers: set[str] = set()
    for _ in range(8):
        identifier = make(engine, Cmd=["echo", "x"])
        engine.api.post(f"/containers/{identifier}/start")
        engine.api.post(f"/containers/{identifier}/wait")
        removed = threading.Event()

        def attach(identifier: str = identifier, removed: threading.Event = removed) -> None:
            path = f"/containers/{identifier}/attach"
            while not removed.is_set():
                try:
                    engine.api.hijack(path, logs=logs, stream=1, stdout=1).close()
                except AssertionError as refusal:
                    answers.add(str(refusal).split()[1])

        threads = [threading.Thread(target=attach) for _ in range(4)]
        for thread in threads:
            thread.start()
        time.sleep(0.05)
        assert engine.api.delete(f"/containers/{identifier}").status == 204
        removed.set()
        for thread in threads:
            thread.join()
    assert answers <= {"404", "409"}
    eventually(lambda: engine.descriptors() <= before)


def test_no_directory_comes_back_after_its_container(engine: FencedEngine) -> None:
    """Who looks into a container makes its directories, if it has never started."""
    for _ in range(25):
        identifier = make(engine)
        path = f"/containers/{identifier}/archive"
        removed = threading.Event()

        def look(path: str = path, removed: threading.Event = removed) -> None:
            while not removed.is_set():
                assert engine.api.request("PUT", path, rawtar.END, path="/tmp").status in (200, 404, 409)

        threads = [threading.Thread(target=look) for _ in range(4)]
        for thread in threads:
            thread.start()
        time.sleep(random.random() / 50)
        assert engine.api.delete(f"/containers/{identifier}").status == 204
        removed.set()
        for thread in threads:
            thread.join()
        assert not (engine.data_root / "containers" / identifier).exists()


def test_nothing_of_it_was_a_failure(engine: FencedEngine) -> None:
    """Last: what is unexpected is logged with its traceback."""
    assert "Traceback" not in engine.log.read_text(), engine.said()
