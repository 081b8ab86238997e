"""`container snapshot`, `fork`, `rewind`: what a container has written, kept, gone back to and copied."""

from __future__ import annotations

import tarfile
from io import BytesIO

import pytest

from rig.clients import Client
from rig.engine import Engine, eventually

BUSYBOX = "busybox"
CHANGE = "echo one >/one; rm /etc/shadow; rm -r /var/www; mkdir -p /d/e; ln /one /hard"


COUNTER = """
mkdir -p /a/b; rm -r /var/www; mkdir /var/www
i=0; while :; do i=$((i+1)); echo $i >/a/b/m; mv /a/b/m /a/b/n; done
"""


def sealed(engine: Engine) -> set[str]:
    """Names of layers on the disk that are no image's: those that containers have sealed."""
    layers = {path.name for path in (engine.data_root / "layers").iterdir() if len(path.name) == 26}
    known = {path.name for path in (engine.data_root / "layers/.parents").iterdir()}
    return layers - known


def make(proa: Client, name: str, script: str = CHANGE) -> str:
    return proa.ok("run", "-d", "--name", name, BUSYBOX, "sh", "-c", script).strip()


def make_ended(proa: Client, name: str, script: str = CHANGE) -> str:
    made = make(proa, name, script)
    proa.ok("wait", name)
    return made


def look(proa: Client, name: str, script: str) -> str:
    """Return what a program says in a copy of a container: the container itself stays as it is."""
    copy = proa.ok("container", "fork", name).strip()
    try:
        return look_inside(proa, copy, script)
    finally:
        proa.ok("rm", copy)


def look_inside(proa: Client, name: str, script: str) -> str:
    image = proa.ok("commit", name).strip()
    try:
        return proa.ok("run", "--rm", image, "sh", "-c", script)
    finally:
        proa.ok("rmi", image)


def test_copies_share_what_was_written(engine: Engine) -> None:
    proa = engine.proa
    make_ended(proa, "first")
    diff = proa.ok("diff", "first")
    made = proa.ok("container", "fork", "-n", "3", "--name", "copy", "first").split()
    assert len(made) == 3 and len(sealed(engine)) == 1
    assert not (engine.data_root / "containers" / made[0] / "upper").exists()
    assert proa.ok("ps", "-a", "--format", "{{.Names}}").split()[:3] == ["copy-3", "copy-2", "copy-1"]
    for name in ("first", "copy-1", "copy-3"):
        assert proa.ok("diff", name) == diff
    assert look_inside(proa, "copy-2", "cat /hard; ls /etc/shadow /var/www 2>&1; true") == (
        "one\nls: /etc/shadow: No such file or directory\nls: /var/www: No such file or directory\n"
    )
    proa.ok("rm", "first", "copy-1", "copy-3")
    assert len(sealed(engine)) == 1
    assert proa.ok("diff", "copy-2") == diff
    proa.ok("rm", "copy-2")
    assert not sealed(engine)


def test_copies_go_their_own_ways(engine: Engine) -> None:
    proa = engine.proa
    make_ended(proa, "origin", "echo $(hostname) >>/log; echo x >/gone")
    script = "cat /log"
    names = proa.ok("container", "fork", "-n", "2", "--name", "c", "origin").split()
    proa.ok("cp", "-", "c-1:/", stdin=_tar("only", b"1"))
    assert sorted(proa.ok("diff", "c-1").splitlines()) == ["A /gone", "A /log", "A /only"]
    assert "A /only" not in proa.ok("diff", "c-2")
    proa.ok("start", "-a", "c-2")
    assert look_inside(proa, "c-2", script).splitlines()[1] == names[1][:12]
    assert look_inside(proa, "origin", script).count("\n") == 1
    proa.ok("start", "-a", "origin")
    assert look_inside(proa, "origin", script).count("\n") == 2
    assert look_inside(proa, "c-1", script).count("\n") == 1


def _tar(name: str, data: bytes) -> bytes:
    buffer = BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        member = tarfile.TarInfo(name)
        member.size = len(data)
        archive.addfile(member, BytesIO(data))
    return buffer.getvalue()


def test_rewind(engine: Engine) -> None:
    proa = engine.proa
    make_ended(proa, "walker", "n=$(cat /n 2>/dev/null); echo $((n + 1)) >/n; rm -f /etc/group; echo s >/step$n")
    assert proa.ok("container", "snapshot", "walker") == "snapshot-1\n"
    first = proa.ok("diff", "walker")
    for _ in range(2):
        proa.ok("start", "-a", "walker")
    assert proa.ok("container", "snapshot", "walker", "third") == "third\n"
    proa.ok("start", "-a", "walker")
    assert look(proa, "walker", "cat /n") == "4\n"
    proa.ok("container", "rewind", "walker", "third")
    assert look(proa, "walker", "cat /n") == "3\n"
    assert proa.ok("snapshot", "ls", "-q", "walker").split() == ["snapshot-1", "third"]
    proa.ok("container", "rewind", "walker", "snapshot-1")
    assert proa.ok("diff", "walker") == first
    assert look(proa, "walker", "cat /n; ls /step*") == "1\n/step\n"
    proa.ok("start", "-a", "walker")
    assert look(proa, "walker", "cat /n") == "2\n"
    assert len(sealed(engine)) == 3
    assert proa.ok("snapshot", "rm", "walker", "third") == "third\n"
    assert len(sealed(engine)) == 2
    proa.ok("rm", "walker")
    assert not sealed(engine)


def test_the_root_itself_stays_as_it_was(engine: Engine) -> None:
    proa = engine.proa
    make_ended(proa, "root", "stat -c %a%u / >>/modes; chown 7 /; chmod 711 /")
    copy = proa.ok("container", "fork", "root").strip()
    proa.ok("start", "-a", copy)
    assert look(proa, copy, "cat /modes") == "7550\n7117\n"


def test_a_running_container_is_copied(engine: Engine) -> None:
    proa = engine.proa
    make(proa, "busy", COUNTER)
    eventually(lambda: proa("exec", "busy", "test", "-s", "/a/b/n").code == 0)
    proa.ok("container", "snapshot", "busy", "now")
    assert proa.ok("ps", "--format", "{{.Names}} {{.State}}") == "busy running\n"
    copy = proa.ok("container", "fork", "busy", "--snapshot", "now").strip()
    assert "A /a/b/n\n" in proa.ok("diff", copy)
    assert look_inside(proa, copy, "ls /var/www") == ""
    before = int(look_inside(proa, copy, "cat /a/b/n"))
    eventually(lambda: int(proa.ok("exec", "busy", "cat", "/a/b/n") or 0) > before)
    assert int(look_inside(proa, copy, "cat /a/b/n")) == before
    assert "running" in proa.fails("container", "rewind", "busy", "now")
    proa.ok("kill", "busy")
    proa.ok("container", "rewind", "busy", "now")
    assert int(look(proa, "busy", "cat /a/b/n")) == before


def test_started_copies(engine: Engine) -> None:
    proa = engine.proa
    script = ("sh", "-c", "echo x >/data/f; sleep 1000")
    proa.ok("run", "-d", "--name", "web", "-p", "0:80", "-v", "/data", BUSYBOX, *script)
    made = proa.ok("container", "fork", "-n", "4", "--start", "web").split()
    running = proa.ok("ps", "-q", "--no-trunc").split()
    assert set(made) < set(running)
    form = '{{(index .NetworkSettings.Ports "80/tcp" 0).HostPort}}'
    assert len({proa.ok("inspect", "-f", form, name) for name in made}) == 4
    volumes = {proa.ok("inspect", "-f", "{{(index .Mounts 0).Name}}", name) for name in [*made, "web"]}
    assert len(volumes) == 5
    assert {proa.ok("exec", name, "hostname").strip() for name in made} == {name[:12] for name in made}


def test_fixed_addresses_and_ports_stay_the_originals(engine: Engine) -> None:
    proa = engine.proa
    proa.ok("network", "create", "--subnet", "10.77.0.0/24", "forks")
    try:
        original = ("--network", "forks", "--ip", "10.77.0.9", "-p", "127.0.0.1:18431-18432:80-81")
        proa.ok("run", "-d", "--name", "fixed", *original, BUSYBOX, "sleep", "1000")
        made = proa.ok("container", "fork", "-n", "2", "--start", "fixed").split()
        form = "{{.State.Running}} {{json .NetworkSettings.Ports}} {{json .HostConfig.PortBindings}}"
        for name in made:
            shown = proa.ok("inspect", "-f", form, name)
            assert shown.startswith("true") and "18431" not in shown and "127.0.0.1" in shown
            assert "10.77.0.9" not in proa.ok("inspect", name)
        proa.ok("rm", "-f", "fixed", *made)
    finally:
        engine.api.remove_everything()


def test_an_unchanged_container_needs_no_layer(engine: Engine) -> None:
    proa = engine.proa
    proa.ok("create", "--name", "new", BUSYBOX, "true")
    assert proa.ok("container", "snapshot", "new") == "snapshot-1\n"
    copy = proa.ok("container", "fork", "new").strip()
    assert not sealed(engine)
    proa.ok("start", "-a", copy)


def test_export_and_cp_and_sizes(engine: Engine) -> None:
    proa = engine.proa
    make_ended(proa, "sized", "head -c 100000 /dev/zero >/zeros")
    proa.ok("container", "snapshot", "sized")
    copy = proa.ok("container", "fork", "sized").strip()
    for words in (("export", copy), ("cp", f"{copy}:/zeros", "-")):
        with tarfile.open(fileobj=BytesIO(proa(*words).raw)) as archive:
            assert archive.getmember("zeros").size == 100000
    row = proa.ok("ps", "-a", "-s", "--filter", f"id={copy}", "--format", "{{.Size}}")
    assert row.startswith("0B (virtual ")
    listed = proa.ok("snapshot", "ls", "--format", "{{.Name}} {{.Size}}", "sized")
    assert listed == "snapshot-1 100kB\n"


def test_shared_layers_count_once(engine: Engine) -> None:
    proa = engine.proa
    make_ended(proa, "base", "head -c 100000 /dev/zero >/zeros")
    assert "Snapshots" not in proa.ok("system", "df")
    proa.ok("container", "snapshot", "base")
    proa.ok("container", "fork", "-n", "5", "base")
    form = "{{.Type}} {{.TotalCount}} {{.Active}} {{.Size}} {{.Reclaimable}}"
    rows = proa.ok("system", "df", "--format", form).splitlines()
    assert rows[1] == "Containers 6 0 0B 0B" and rows[-1] == "Snapshots 1 1 100kB 0B (0%)"
    assert proa.ok("system", "df", "-v").splitlines()[-1].split()[1:] == ["100kB", "6", "1"]
    proa.ok("start", "-a", "base")
    proa.ok("container", "snapshot", "base", "late")
    proa.ok("container", "rewind", "base", "snapshot-1")
    assert proa.ok("system", "df", "--format", form).splitlines()[-1] == "Snapshots 2 1 200kB 100kB (50%)"
    assert engine.docker.ok("system", "df").startswith("TYPE")


BAD = [
    (("container", "snapshot", "nope"), "No such container: nope"),
    (("container", "fork", "nope"), "No such container: nope"),
    (("container", "fork", "-n", "0", "there"), "invalid number of copies: 0: it is from 1 to 1000"),
    (("container", "fork", "-n", "1001", "there"), "invalid number of copies: 1001"),
    (("container", "fork", "--name", "a/b", "there"), "Invalid container name (a/b-1)"),
    (("container", "fork", "--snapshot", "nope", "there"), "no such snapshot of container there: nope"),
    (("container", "fork", "-n", "2", "--name", "taken", "there"), "taken-2"),
    (("container", "rewind", "there", "nope"), "no such snapshot of container there: nope"),
    (("snapshot", "rm", "there", "nope"), "no such snapshot of container there: nope"),
    (("container", "snapshot", "there", "kept"), 'the name "kept" is in use by a snapshot of container there'),
    (("container", "snapshot", "there", "a b"), '"a b" is no name for a snapshot'),
    (("container", "snapshot", "there", "/x"), '"/x" is no name for a snapshot'),
    (("container", "snapshot", "memory"), "is ephemeral, its layer is in memory"),
    (("container", "rewind", "there", ""), "no snapshot is named"),
]


@pytest.mark.parametrize(("words", "said"), BAD, ids=[" ".join(words) for words, _ in BAD])
def test_bad_input(engine: Engine, words: tuple[str, ...], said: str) -> None:
    proa = engine.proa
    make_ended(proa, "there", "echo x >/x")
    proa.ok("create", "--name", "taken-2", BUSYBOX)
    proa.ok("create", "--name", "memory", "--ephemeral", BUSYBOX)
    proa.ok("container", "snapshot", "there", "kept")
    before = proa.ok("ps", "-aq"), sealed(engine)
    result = proa(*words)
    assert result.code == 1 and said in result.err
    assert (proa.ok("ps", "-aq"), sealed(engine)) == before


def test_too_many_layers_are_refused(engine: Engine) -> None:
    proa = engine.proa
    proa.ok("create", "--name", "tower", BUSYBOX, "true")
    taken = 0
    while True:
        proa.ok("cp", "-", "tower:/", stdin=_tar(f"file-{taken}", b"x"))
        result = engine.api.post("/proa/containers/tower/snapshots")
        if result.status != 201:
            break
        taken += 1
    assert result.status == 501 and "too many layers" in result.json["message"] and taken > 50
    assert len(proa.ok("diff", "tower").splitlines()) == taken + 1
    proa.ok("start", "-a", "tower")


def test_events(engine: Engine) -> None:
    proa = engine.proa
    with proa.start("events", "--format", "{{.Action}} {{.Actor.Attributes.snapshotName}}") as events:
        assert events.stdout
        eventually(lambda: engine.api.ready())
        make_ended(proa, "told", "echo x >/x")
        proa.ok("container", "snapshot", "told", "one")
        proa.ok("container", "rewind", "told", "one")
        proa.ok("container", "fork", "told")
        proa.ok("snapshot", "rm", "told", "one")
        seen: list[str] = []
        while not seen or not seen[-1].startswith("snapshot-remove"):
            seen.append(events.stdout.readline().decode().strip())
    own = [line for line in seen if line.split()[0] in ("snapshot", "rewind", "fork", "snapshot-remove")]
    assert own == ["snapshot one", "rewind one", "fork <no value>", "snapshot-remove one"]
