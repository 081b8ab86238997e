"""Formats of the kernel's counters."""

from __future__ import annotations

from pathlib import Path

from proa.cgroups import files, v1_stats, v2_stats


def test_v1_io() -> None:
    text = "8:0 Read 4096\n8:0 Write 512\n8:16 Total 7\nTotal 4615"
    assert v1_stats.parse_io(text) == [(8, 0, "Read", 4096), (8, 0, "Write", 512), (8, 16, "Total", 7)]


def test_v2_io() -> None:
    text = "8:0 rbytes=4096 wbytes=512 rios=2 wios=1 dbytes=0 dios=0\n253:1 \nodd\n8:16 rbytes=1 cost.usage=9"
    assert v2_stats.parse_io(text, {"rbytes": "Read", "wbytes": "Write"}) == [
        (8, 0, "Read", 4096),
        (8, 0, "Write", 512),
        (8, 16, "Read", 1),
    ]


def test_small_files(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("low 0\noom 3\nodd\ntext abc\nmax max\n")
    assert files.table(str(path)) == {"low": 0, "oom": 3}
    path.write_text("max\n")
    assert files.number(str(path)) is None
    assert files.optional_number(str(tmp_path / "absent"), 7) == 7
