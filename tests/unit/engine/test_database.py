"""The database: transactions, migrations, strangers' files, and what survives SIGKILL."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from proa.engine import database as module
from proa.engine.database import AlreadyExists, Database
from proa.engine.records import Container, EndpointRecord
from proa.errors import Conflict, Internal

INSERT = "INSERT INTO meta (key, value) VALUES (?, ?)"


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = Database(tmp_path / "proa.db")
    yield opened
    opened.close()


def keys(database: Database) -> list[str]:
    return [key for (key,) in database.rows("SELECT key FROM meta ORDER BY key")]


def test_a_transaction_is_whole_or_absent(database: Database) -> None:
    with pytest.raises(ZeroDivisionError), database.transaction():
        database.execute(INSERT, ("a", "1"))
        raise ZeroDivisionError
    assert keys(database) == []
    with database.transaction():
        database.execute(INSERT, ("a", "1"))
        database.execute(INSERT, ("b", "2"))
    assert keys(database) == ["a", "b"]


def test_an_inner_transaction_joins_the_outer(database: Database) -> None:
    with pytest.raises(ZeroDivisionError), database.transaction():
        with database.transaction():
            database.execute(INSERT, ("a", "1"))
        raise ZeroDivisionError
    assert keys(database) == []
    with database.transaction():  # and the state after it is clean
        database.execute(INSERT, ("c", "3"))
    assert keys(database) == ["c"]


def test_constraints_become_conflicts(database: Database) -> None:
    database.execute(INSERT, ("a", "1"))
    with pytest.raises(AlreadyExists):
        database.execute(INSERT, ("a", "2"))
    with pytest.raises(AlreadyExists, match="FOREIGN KEY"):
        database.execute("INSERT INTO image_names (name, image_id) VALUES ('x', 'nowhere')")
    assert database.row("SELECT value FROM meta") == ("1",)


def test_records_are_for_the_owner_only(database: Database) -> None:
    for path in database.path.parent.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path


def test_reopening_keeps_everything(tmp_path: Path) -> None:
    first = Database(tmp_path / "proa.db")
    first.execute(INSERT, ("a", "1"))
    first.close()
    second = Database(tmp_path / "proa.db")
    assert keys(second) == ["a"]
    second.close()


def test_migrations_run_once_and_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "proa.db"
    Database(path).close()
    known = len(module.MIGRATIONS)
    more = (*module.MIGRATIONS, ("ALTER TABLE meta ADD COLUMN note TEXT", "CREATE TABLE later (x) STRICT"))
    monkeypatch.setattr(module, "MIGRATIONS", (*more[:-1], ("ALTER TABLE meta ADD COLUMN note TEXT",)))
    for _ in range(2):
        opened = Database(path)
        assert opened.row("SELECT count(note) FROM meta") == (0,)
        opened.close()
    monkeypatch.undo()
    with pytest.raises(Internal, match=f"schema {known + 1}, this one knows {known}"):
        Database(path)


def test_single_endpoints_become_several(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "proa.db"
    monkeypatch.setattr(module, "MIGRATIONS", module.MIGRATIONS[:1])
    old = Database(path)
    endpoint = {"network": "bridge", "network_id": "f00d", "address": "172.17.0.2", "interface": "vethp1"}
    for identifier, options, endpoint_record in (
        ("running", {"image": "b", "env": ["A=ü\n"], "mac_address": "02:00:00:00:00:01"}, endpoint),
        ("ended", {"image": "b"}, {"network": "bridge", "network_id": "f00d"}),
        ("new", {"image": "b", "network_mode": "none"}, None),
        ("guest", {"image": "b", "network_mode": "container:running"}, None),
    ):
        record = {
            "id": identifier, "name": identifier, "created": 1 << 60, "image_id": "i", "layers": [],
            "options": options, "endpoint": endpoint_record,
        }  # fmt: skip
        row = (identifier, identifier, json.dumps(record).encode())
        old.execute("INSERT INTO containers (id, name, record) VALUES (?, ?, ?)", row)
    old.close()
    monkeypatch.undo()
    new = Database(path)
    rows = new.rows("SELECT record FROM containers")
    new.close()
    found = {record.id: record for (data,) in rows for record in [msgspec.json.decode(data, type=Container)]}
    running = found["running"].endpoints["bridge"]
    assert (running.network_id, running.address, running.interface) == ("f00d", "172.17.0.2", "vethp1")
    assert (running.device, running.wishes.mac_address) == ("eth0", "02:00:00:00:00:01")
    assert found["running"].options.env == ["A=ü\n"] and found["running"].created == 1 << 60
    assert found["ended"].endpoints == {"bridge": EndpointRecord(network="bridge", network_id="f00d")}
    assert found["new"].endpoints == {"none": EndpointRecord(network="none")}
    assert found["guest"].endpoints == {}


def test_a_failing_migration_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "proa.db"
    Database(path).close()
    monkeypatch.setattr(module, "MIGRATIONS", (*module.MIGRATIONS, ("CREATE TABLE new (x)", "NONSENSE")))
    with pytest.raises(Internal, match="syntax error"):
        Database(path)
    monkeypatch.undo()
    opened = Database(path)
    assert opened.row("SELECT 1 FROM sqlite_master WHERE name = 'new'") is None
    opened.close()


def test_a_second_engine_is_refused(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LOCK_PATIENCE", 0.01)
    with pytest.raises(Conflict, match="in use by another engine"):
        Database(database.path)


def test_strangers_files_are_refused(tmp_path: Path) -> None:
    text = tmp_path / "text.db"
    text.write_text("not a database at all, " * 100)
    with pytest.raises(Internal, match="not a database"):
        Database(text)
    other = sqlite3.connect(tmp_path / "other.db")
    other.execute("PRAGMA user_version = 4")
    other.close()
    with pytest.raises(Internal, match="another program"):
        Database(tmp_path / "other.db")
    with pytest.raises(Internal, match="No such file or directory"):
        Database(tmp_path / "missing" / "proa.db")


def test_a_full_disk_is_explained_and_loses_nothing(database: Database) -> None:
    database.execute(INSERT, ("a", "1"))
    (pages,) = database.rows("PRAGMA page_count")[0]
    database.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(Internal, match="disk is full"), database.transaction():
        database.execute(INSERT, ("b", "x" * 1_000_000))
    assert keys(database) == ["a"]
    database.execute(INSERT, ("c", "small"))
    assert keys(database) == ["a", "c"]


WRITER = """
import sys
from pathlib import Path
from proa.engine.database import Database

database = Database(Path(sys.argv[1]))
print("open", flush=True)
number = 0
while True:
    number += 1
    with database.transaction():
        for half in ("left", "right"):
            database.execute("INSERT INTO meta (key, value) VALUES (?, ?)", (f"{number}-{half}", "x" * 3000))
    print(number, flush=True)
"""


@pytest.mark.parametrize("survived", [1, 7, 40, 400])
def test_what_was_committed_survives_sigkill(tmp_path: Path, survived: int) -> None:
    path = tmp_path / "proa.db"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(entry for entry in sys.path if entry)}
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True, env=environment
    ) as writer:
        assert writer.stdout is not None
        reported = 0
        for line in writer.stdout:
            reported = int(line) if line.strip().isdecimal() else 0
            if reported == survived:
                writer.send_signal(signal.SIGKILL)
                break
        rest = [int(line) for line in writer.stdout.read().split()]
    reported = max([reported, *rest])
    database = Database(path)
    try:
        found = {key for (key,) in database.rows("SELECT key FROM meta")}
        numbers = {int(key.partition("-")[0]) for key in found}
        assert found == {f"{number}-{half}" for number in numbers for half in ("left", "right")}
        assert numbers >= set(range(1, reported + 1))
        assert database.rows("PRAGMA integrity_check") == [("ok",)]
    finally:
        database.close()
