"""Getting to a place in a log: moments, tails and compressed files, without reading what lies before."""

from __future__ import annotations

import gzip
import json
import os
import random
from pathlib import Path
from typing import Any

import pytest

from proa import times
from proa.engine.logs import files
from proa.engine.logs.files import Chain, LogFile
from proa.engine.logs.reading import Decoder, LogRequest, Place, read
from proa.shim.jsonlog import JsonLog

START = 1_700_000_000 * times.SECOND


def record(number: int, moment: int | None = None, line: str = "") -> bytes:
    time = times.format_time(START + number * times.SECOND if moment is None else moment)
    return json.dumps({"log": f"{number}{line}\n", "stream": "stdout", "time": time}).encode() + b"\n"


def numbered(first: int, last: int) -> bytes:
    return b"".join(map(record, range(first, last + 1)))


def packed(path: Path, first: int, last: int, origin: os.stat_result | None = None) -> None:
    """Write a compressed file as the shim does, which says when it was written and which file it was."""
    data = gzip.compress(numbered(first, last), mtime=(START + last * times.SECOND) // times.SECOND)
    comment = b"inode %d mtime %d\0" % (origin.st_ino, origin.st_mtime_ns) if origin else b""
    flags = bytes([0x10 if comment else 0])
    path.write_bytes(data[:3] + flags + data[4:10] + comment + data[10:])


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "id-json.log"


async def shown(path: Path, **request: Any) -> list[int]:
    found = [line async for line in read(path, LogRequest(**request), lambda: False)]
    return [int(line.line.split()[0]) for line in found]


@pytest.mark.parametrize("chunk", [50, 61, 1000, 64 << 10])
@pytest.mark.parametrize("since", [-5, 1, 2, 7, 499, 500, 501, 2000])
async def test_since_at_every_border(path: Path, chunk: int, since: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "_CHUNK", chunk)
    path.write_bytes(numbered(1, 500))
    moment = START + since * times.SECOND
    assert await shown(path, since=moment) == list(range(max(since, 1), 501))
    assert await shown(path, since=moment + 1) == list(range(max(since + 1, 1), 501))


async def test_since_reads_little(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path.write_bytes(b"".join(record(number, line="x" * 500) for number in range(20_000)))
    taken = []
    pread = os.pread

    def counted(descriptor: int, length: int, place: int) -> bytes:
        taken.append(length)
        return pread(descriptor, length, place)

    with Chain(path) as chain:
        monkeypatch.setattr(files.os, "pread", counted)
        chain.seek(None, START + 15_000 * times.SECOND, Decoder(LogRequest()).moment)
        monkeypatch.undo()
        (file,) = chain.files
        assert sum(taken) < 20 * files._CHUNK < file.size() / 5
        assert file.size() * 0.74 < file.position < file.size() * 0.75


@pytest.mark.parametrize("damage", [b"\0" * 9000 + b"\n", b"{}\n" * 5000, b"x" * 48_000 + b"\n", b"\n" * 9000])
async def test_since_among_damage(path: Path, damage: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "_CHUNK", 512)
    monkeypatch.setattr(files, "_MAX_RECORD", 16384)
    path.write_bytes(numbered(1, 50) + damage + numbered(51, 100) + damage)
    for since in (1, 30, 50, 51, 52, 80, 100, 101):
        assert await shown(path, since=START + since * times.SECOND) == list(range(since, 101))


async def test_what_is_shown_is_never_before_since(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever clocks do: with moments in any order some records may be missed, none comes that is too old."""
    monkeypatch.setattr(files, "_CHUNK", 256)
    numbers = random.Random(5).sample(range(300), 300)
    path.write_bytes(b"".join(map(record, numbers)))
    found = await shown(path, since=START + 200 * times.SECOND)
    assert found and all(number >= 200 for number in found)


@pytest.mark.parametrize("since", [1, 40, 100, 101, 150, 300, 301, 350, 400, 401])
async def test_since_over_compressed_files(path: Path, since: int) -> None:
    packed(path.with_name(path.name + ".3.gz"), 1, 100)
    packed(path.with_name(path.name + ".2.gz"), 101, 200)
    path.with_name(path.name + ".1").write_bytes(numbered(201, 300))
    path.write_bytes(numbered(301, 400))
    assert await shown(path, since=START + since * times.SECOND) == list(range(since, 401))
    assert await shown(path, since=START + since * times.SECOND, tail=120) == list(range(max(since, 281), 401))


async def test_files_that_end_before_since_stay_packed(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    packed(path.with_name(path.name + ".1.gz"), 1, 100)
    path.write_bytes(numbered(200, 300))
    monkeypatch.setattr(LogFile, "unpack", lambda self: pytest.fail("it is not needed"))
    assert await shown(path, since=START + 150 * times.SECOND) == list(range(200, 301))
    assert await shown(path, tail=101) == list(range(200, 301))


@pytest.mark.parametrize("tail", [0, 1, 99, 100, 101, 150, 250, 299, 300, 301, 9999])
async def test_tails_over_compressed_files(path: Path, tail: int) -> None:
    packed(path.with_name(path.name + ".2.gz"), 1, 100)
    packed(path.with_name(path.name + ".1.gz"), 101, 200)
    path.write_bytes(numbered(201, 300))
    assert await shown(path, tail=tail) == list(range(max(301 - tail, 1), 301))


async def test_damaged_compressed_files_cost_only_themselves(path: Path) -> None:
    packed(path.with_name(path.name + ".3.gz"), 1, 10_000)
    half = path.with_name(path.name + ".3.gz")
    half.write_bytes(half.read_bytes()[:20_000])
    path.with_name(path.name + ".2.gz").write_bytes(b"no gzip")
    path.with_name(path.name + ".1.gz").write_bytes(b"")
    path.write_bytes(numbered(20_001, 20_003))
    found = await shown(path)
    assert found[-3:] == [20_001, 20_002, 20_003]
    assert found[:-3] == list(range(1, len(found) - 2)) and len(found) > 100
    assert await shown(path, tail=2) == [20_002, 20_003]


async def test_a_file_in_both_forms_is_shown_once(path: Path) -> None:
    """The shim was killed after it had compressed a file and before it removed the plain one."""
    plain = path.with_name(path.name + ".1")
    plain.write_bytes(numbered(1, 3))
    packed(path.with_name(path.name + ".2.gz"), 1, 3, plain.stat())
    path.write_bytes(numbered(4, 5))
    assert await shown(path) == [1, 2, 3, 4, 5]


async def test_a_follower_knows_a_file_again_that_was_compressed(path: Path) -> None:
    """Slower than rotation and compression: nothing is shown twice."""
    log = JsonLog(os.fspath(path), 2000, 200, compress=True)
    log.write("stdout", b"0\n")
    seen = []
    async for line in read(path, LogRequest(follow=True), lambda: len(seen) < 3000):
        seen.append(int(line.line))
        if seen[-1] % 150 == 0 and seen[-1] < 2900:
            for number in range(seen[-1] + 1, seen[-1] + 151):
                log.write("stdout", b"%d\n" % number)
            while log.file._child:
                log.reaped(*os.waitpid(log.file._child, 0))  # noqa: ASYNC222 - in the shim's place
        if seen[-1] == 3000:
            break
    assert seen == list(range(3001))
    log.close()
    assert len(list(path.parent.glob("*.gz"))) > 20
    assert await shown(path) == list(range(3001))


async def test_reading_goes_on_from_a_place(path: Path) -> None:
    log = JsonLog(os.fspath(path), 3000, 50)
    place = Place()
    seen: list[int] = []
    for last in (0, 3, 200, 201, 500, 500, 900):
        for number in range(len(seen), last):
            log.write("stdout", b"%d\n" % number)
        log.write("stdout", b"unfin")
        request = LogRequest(follow=True)
        seen += [int(line.line) async for line in read(path, request, lambda: False, place) if line.line != b"x\n"]
        assert seen == list(range(last))
        log._rest["stdout"] = b""
    log.close()


async def test_attributes(path: Path) -> None:
    log = JsonLog(os.fspath(path), attributes='{"a":"b","tag":"x y"}')
    log.write("stdout", b'clean\nq"uote\n')
    log.write("stderr", b"rest")
    log.close()
    lines = [line async for line in read(path, LogRequest(details=True), lambda: False)]
    assert [(line.line, line.attributes) for line in lines] == [
        (text, {"a": "b", "tag": "x y"}) for text in (b"clean\n", b'q"uote\n', b"rest")
    ]
    assert [line.attributes async for line in read(path, LogRequest(), lambda: False)] == [{}] * 3


@pytest.mark.parametrize("tail", [1, 3, 500, 900])
async def test_the_tail_of_a_growing_log(path: Path, tail: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is asked for are the last lines of the moment, not none because others came behind them."""
    path.write_bytes(numbered(1, 500))
    seek = Chain.seek

    def grown(self: Chain, *arguments: Any) -> None:
        with path.open("ab") as file:
            file.write(numbered(501, 700))
        seek(self, *arguments)

    monkeypatch.setattr(Chain, "seek", grown)
    assert await shown(path, tail=tail) == list(range(max(501 - tail, 1), 501))
