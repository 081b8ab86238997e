"""Logs: what is shown of them, following, rotation, damage, and size; written by the shim's own writer."""

from __future__ import annotations

import asyncio
import json
import os
import time
import tracemalloc
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from proa import times
from proa.engine import watching
from proa.engine.logs import files as module
from proa.engine.logs.reading import LogLine, LogRequest, read
from proa.errors import KernelError
from proa.linux import inotify
from proa.shim.jsonlog import JsonLog

START = 1_700_000_000 * times.SECOND


def record(line: str, stream: str = "stdout", moment: int = START) -> bytes:
    fields = {"log": line, "stream": stream, "time": times.format_time(moment)}
    return json.dumps(fields).encode() + b"\n"


def numbered(first: int, last: int) -> bytes:
    return b"".join(record(f"{number}\n", moment=START + number) for number in range(first, last + 1))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "id-json.log"


async def collect(path: Path, running: bool = False, **request: Any) -> list[LogLine]:
    return [line async for line in read(path, LogRequest(**request), lambda: running)]


async def text(path: Path, **request: Any) -> str:
    return b"".join(line.line for line in await collect(path, **request)).decode()


def words(*numbers: int) -> str:
    return "".join(f"{number}\n" for number in numbers)


async def test_what_the_shim_writes_is_read(path: Path) -> None:
    log = JsonLog(os.fspath(path))
    before = times.now()
    log.write("stdout", b'plain\nwith "quotes" and \\ and \t\n')
    log.write("stderr", "öffentlich ☃\n".encode() + b"bad \xff byte\n")
    log.write("stdout", b"x" * 40_000 + b"\n" + b"no newline")
    log.close()
    lines = await collect(path)
    assert [(line.stream, line.line) for line in lines] == [
        ("stdout", b"plain\n"),
        ("stdout", b'with "quotes" and \\ and \t\n'),
        ("stderr", "öffentlich ☃\n".encode()),
        ("stderr", "bad \N{REPLACEMENT CHARACTER} byte\n".encode()),
        ("stdout", b"x" * 16384), ("stdout", b"x" * 16384), ("stdout", b"x" * 7232 + b"\n"),
        ("stdout", b"no newline"),
    ]  # fmt: skip
    assert all(before <= line.time <= times.now() for line in lines)


async def test_a_missing_log_is_empty(path: Path) -> None:
    assert await collect(path) == []
    assert await collect(path, tail=5) == []
    assert await collect(path, follow=True) == []


async def test_streams_and_times(path: Path) -> None:
    moments = [START + 1, START + 10**9, START + 2 * 10**9 + 500_000_000, START + 3 * 10**9]
    streams = ["stdout", "stderr", "stdout", "stderr"]
    path.write_bytes(
        b"".join(
            record(f"{number}\n", stream, moment)
            for number, (stream, moment) in enumerate(zip(streams, moments, strict=True))
        )
    )
    assert [line.time for line in await collect(path)] == moments
    assert await text(path, stderr=False) == words(0, 2)
    assert await text(path, stdout=False) == words(1, 3)
    assert await text(path, since=moments[1]) == words(1, 2, 3)
    assert await text(path, since=moments[1] + 1) == words(2, 3)
    assert await text(path, until=moments[2]) == words(0, 1, 2)
    assert await text(path, since=moments[1], until=moments[2], stdout=False) == words(1)
    assert await text(path, until=START) == ""
    assert await text(path, tail=2, stdout=False) == words(3)


@pytest.mark.parametrize("moment", ["2023-11-14T23:13:20.5+01:00", "2023-11-14T22:13:20.500Z"])
async def test_times_in_other_forms(path: Path, moment: str) -> None:
    path.write_bytes(json.dumps({"log": "x", "stream": "stdout", "time": moment}).encode() + b"\n")
    assert [line.time for line in await collect(path)] == [START + 500_000_000]


@pytest.mark.parametrize(
    ("tail", "expected"),
    [(0, []), (1, [9]), (3, [7, 8, 9]), (4, [6, 7, 8, 9]), (9, range(1, 10)), (10**9, range(1, 10))],
)
async def test_the_tail_over_rotated_files(path: Path, tail: int, expected: list[int]) -> None:
    path.with_name(path.name + ".2").write_bytes(numbered(1, 3))
    path.with_name(path.name + ".1").write_bytes(numbered(4, 6))
    path.write_bytes(numbered(7, 9))
    assert await text(path) == words(*range(1, 10))
    assert await text(path, tail=tail) == words(*expected)


@pytest.mark.parametrize("chunk", [1, 7, 60, 61, 62, 64 << 10])
@pytest.mark.parametrize("tail", [0, 1, 2, 49, 50, 51])
async def test_the_tail_at_every_border(
    path: Path, chunk: int, tail: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_CHUNK", chunk)
    path.write_bytes(numbered(1, 50) + record("incomplete\n")[:-1])
    assert await text(path, tail=tail) == words(*range(max(1, 51 - tail), 51))
    path.write_bytes(b"")
    assert await text(path, tail=tail) == ""


@pytest.mark.parametrize(
    "damage",
    [
        b"\0" * 5000 + b"\n", b"\0" * 10 + record("x"), b"{}\n", b"\n", b"null\n", b"[1]\n", b'"text"\n', b"{\n",
        b'{"log":"x","stream":"stdout"}\n', b'{"log":"x","stream":"stdout","time":"yesterday"}\n',
        b'{"log":5,"stream":"stdout","time":"2023-11-14T22:13:20Z"}\n', b"\xff\xfe\n", b"x" * 3_000_000 + b"\n",
        b'{"log":"\\ud800","stream":"stdout","time":"2023-11-14T22:13:20Z"}\n', b"[" * 100_000 + b"\n",
        b'{"log":"x","stream":"other","time":"2023-11-14T22:13:20Z"}\n', record("half")[:20] + record("whole"),
        b'{"log":"x","stream":"stdout","time":"' + "２".encode() * 40 + b'"}\n',
    ],
)  # fmt: skip
async def test_damage_costs_only_itself(path: Path, damage: bytes) -> None:
    path.write_bytes(numbered(1, 2) + damage + numbered(3, 4))
    assert await text(path) == words(1, 2, 3, 4)


async def test_what_is_being_written_now_is_not_shown_half(path: Path) -> None:
    path.write_bytes(numbered(1, 2) + record("3\n")[:30])
    assert await text(path) == words(1, 2)


async def test_without_follow_it_ends_where_the_log_ended(path: Path) -> None:
    path.write_bytes(numbered(1, 2000))
    stream = read(path, LogRequest(), lambda: True)
    seen = [await anext(stream)]
    with path.open("ab") as file:
        file.write(numbered(2001, 2100))
    seen += [line async for line in stream]
    assert len(seen) == 2000


async def test_an_unreadable_log_is_an_error(path: Path) -> None:
    path.symlink_to(path)
    with pytest.raises(KernelError, match=r"open log .*too many levels of symbolic links"):
        await collect(path)
    path.unlink()
    path.mkdir()
    with pytest.raises(KernelError, match="read log: is a directory"):
        await collect(path)


class Follower:
    """A running container whose log somebody follows."""

    def __init__(self, path: Path, **request: Any) -> None:
        self.running = True
        self.lines: list[str] = []
        self._stream = read(path, LogRequest(follow=True, **request), lambda: self.running)
        self.task = asyncio.create_task(self._run(self._stream))

    async def _run(self, stream: AsyncIterator[LogLine]) -> None:
        async for line in stream:
            self.lines.append(line.line.decode().strip())

    async def until(self, count: int, seconds: float = 10) -> float:
        """Wait until `count` lines have come; return how long it took."""
        started = time.monotonic()
        while len(self.lines) < count:
            assert not self.task.done(), self.task
            assert time.monotonic() - started < seconds, self.lines
            await asyncio.sleep(0.005)
        return time.monotonic() - started

    async def end(self) -> list[str]:
        self.running = False
        await asyncio.wait_for(self.task, 10)
        return self.lines


async def test_following(path: Path) -> None:
    log = JsonLog(os.fspath(path))
    log.write("stdout", b"before\n")
    follower = Follower(path)
    await follower.until(1)
    await asyncio.sleep(0.3)  # it waits by now for the slow look
    log.write("stderr", b"later\n")
    assert await follower.until(2) < 0.5
    log.write("stdout", b"unfinished")
    await asyncio.sleep(0.05)
    log.write("stdout", b" line\nlast")
    await follower.until(3)
    log.close()
    assert await follower.end() == ["before", "later", "unfinished line", "last"]
    assert not watching._watchers


async def test_it_ends_soon_after_the_container(path: Path) -> None:
    log = JsonLog(os.fspath(path))
    follower = Follower(path)
    await asyncio.sleep(1.2)  # silent for a while
    started = time.monotonic()
    log.close()
    await asyncio.sleep(0.03)  # the engine learns of it a little later
    await follower.end()
    assert time.monotonic() - started < 0.5


async def test_what_was_written_last_is_read_before_the_end(path: Path) -> None:
    for _ in range(20):
        path.unlink(missing_ok=True)
        log = JsonLog(os.fspath(path))
        follower = Follower(path)
        await asyncio.sleep(0.01)
        log.write("stdout", b"the last words\n" * 3000)
        log.close()
        assert len(await follower.end()) == 3000


async def test_following_from_the_tail_and_before_there_is_a_log(path: Path) -> None:
    follower = Follower(path, tail=1)
    await asyncio.sleep(0.05)
    path.write_bytes(numbered(1, 3))
    await follower.until(3)
    late = Follower(path, tail=1)
    await late.until(1)
    with path.open("ab") as file:
        file.write(numbered(4, 4))
    await late.until(2)
    assert await late.end() == ["3", "4"]
    assert await follower.end() == ["1", "2", "3", "4"]


async def test_a_record_in_two_writes(path: Path) -> None:
    path.touch()
    follower = Follower(path)
    whole = record("whole\n")
    with path.open("ab", buffering=0) as file:
        for position in range(0, len(whole), 20):
            file.write(whole[position : position + 20])
            await asyncio.sleep(0.02)
    await follower.until(1)
    assert await follower.end() == ["whole"]


@pytest.mark.parametrize("pause", [0, 0.002])
async def test_rotation_loses_nothing(path: Path, pause: float) -> None:
    log = JsonLog(os.fspath(path), max_size=2000, max_files=60)
    follower = Follower(path)
    for number in range(1000):
        log.write("stdout", f"{number}\n".encode())
        if number % 10 == 0:
            await asyncio.sleep(pause)
    log.close()
    assert len(list(path.parent.iterdir())) > 30
    assert await follower.end() == [str(number) for number in range(1000)]
    assert await text(path) == words(*range(1000))


async def test_rotation_with_few_files_keeps_the_order(path: Path) -> None:
    log = JsonLog(os.fspath(path), max_size=1000, max_files=3)
    follower = Follower(path)
    for number in range(2000):
        log.write("stdout", f"{number}\n".encode())
        if number % 100 == 0:
            await asyncio.sleep(0.001)
    log.close()
    seen = [int(line) for line in await follower.end()]
    assert seen == sorted(set(seen))
    assert seen[-1] == 1999
    kept = [int(line) for line in (await text(path)).split()]
    assert kept == list(range(kept[0], 2000))


async def test_rotation_by_emptying(path: Path) -> None:
    log = JsonLog(os.fspath(path), max_size=500, max_files=1)
    follower = Follower(path)
    for number in range(100):
        log.write("stdout", f"{number}\n".encode())
        await asyncio.sleep(0.002)
    log.write("stdout", b"the end\n")
    log.close()
    seen = await follower.end()
    assert seen[-1] == "the end"
    assert len(seen) > 20


async def test_following_until_a_moment(path: Path) -> None:
    log = JsonLog(os.fspath(path))
    log.write("stdout", b"within\n")
    follower = Follower(path, until=times.now() + 200_000_000)
    started = time.monotonic()
    await asyncio.wait_for(follower.task, 5)
    assert 0.1 < time.monotonic() - started < 2
    log.write("stdout", b"after\n")
    log.close()
    assert follower.lines == ["within"]


async def test_without_inotify_it_polls(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> int:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(inotify, "inotify_init", refuse)
    path.write_bytes(numbered(1, 1))
    follower = Follower(path)
    await follower.until(1)
    await asyncio.sleep(0.3)
    with path.open("ab") as file:
        file.write(numbered(2, 2))
    await follower.until(2)
    assert await follower.end() == ["1", "2"]


async def test_a_log_that_is_removed_while_it_is_followed(path: Path) -> None:
    path.write_bytes(numbered(1, 1))
    follower = Follower(path)
    await follower.until(1)
    path.unlink()
    await asyncio.sleep(0.05)
    assert await follower.end() == ["1"]


async def test_many_followers_share_one_instance_and_leave_nothing(path: Path) -> None:
    path.write_bytes(numbered(1, 1))
    before = len(os.listdir("/proc/self/fd"))
    followers = [Follower(path) for _ in range(50)]
    for follower in followers:
        await follower.until(1)
    instances = [
        entry for entry in os.listdir("/proc/self/fd")
        if os.path.lexists(f"/proc/self/fd/{entry}") and "inotify" in os.readlink(f"/proc/self/fd/{entry}")
    ]  # fmt: skip
    assert len(instances) == 1
    with path.open("ab") as file:
        file.write(numbered(2, 2))
    for follower in followers:
        await follower.until(2)
        follower.running = False
    for follower in followers:
        await follower.end()
    assert len(os.listdir("/proc/self/fd")) == before


async def test_a_reader_that_goes_away_leaves_nothing(path: Path) -> None:
    path.write_bytes(numbered(1, 1))
    before = len(os.listdir("/proc/self/fd"))
    follower = Follower(path)
    await follower.until(1)
    await asyncio.sleep(0.05)
    follower.task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await follower.task
    assert len(os.listdir("/proc/self/fd")) == before


async def test_a_large_log_is_not_read_into_memory(path: Path) -> None:
    with path.open("wb") as file:
        block = numbered(1, 1000)
        for _ in range(100):
            file.write(block)
        file.truncate(2 << 30)  # a hole of zeros: quick to make, slow to read as a whole
        file.seek(0, os.SEEK_END)
        file.write(b"\n" + numbered(1, 100))
    tracemalloc.start()
    try:
        started = time.monotonic()
        assert await text(path, tail=100) == words(*range(1, 101))
        assert time.monotonic() - started < 1
        count = 0
        stream = read(path, LogRequest(), lambda: False)
        async for _ in stream:
            count += 1
            if count == 100_000:
                break
        await stream.aclose()  # type: ignore[attr-defined]
        assert tracemalloc.get_traced_memory()[1] < 3 << 20
    finally:
        tracemalloc.stop()
