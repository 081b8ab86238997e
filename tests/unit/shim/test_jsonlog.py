"""The json-file log that the shim writes. Reading it: tests/unit/engine/test_logs.py."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from proa.shim.jsonlog import JsonLog


@pytest.mark.parametrize("chunk", [1, 7, 1000])
def test_a_file_passes_its_limit_by_one_record_at_most(tmp_path: Path, chunk: int) -> None:
    path = tmp_path / "id-json.log"
    log = JsonLog(os.fspath(path), 4096, 3)
    lines = [f"{number}\n".encode() for number in range(1000)]
    for at in range(0, len(lines), chunk):
        log.write("stdout", b"".join(lines[at : at + chunk]))
    log.close()
    found = [path.with_name(f"{path.name}.2"), path.with_name(f"{path.name}.1"), path]
    sizes = [file.stat().st_size for file in found]
    longest = max(len(line) for line in found[0].read_bytes().splitlines(keepends=True))
    assert all(4096 <= size < 4096 + longest for size in sizes[:2]) and 0 < sizes[2] < 4096 + longest
    written = [json.loads(line)["log"].encode() for file in found for line in file.read_bytes().splitlines()]
    assert written == lines[-len(written) :]
    assert not path.with_name(f"{path.name}.3").exists()
