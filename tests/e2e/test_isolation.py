"""What a container may and what it sees: capabilities, seccomp, paths, namespaces, the host's root."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from rig import images
from rig.api import Api
from rig.clients import Client
from rig.needs import pure_cgroup2
from rig.registry import Registry
from rig.standard import busybox_layer
from rig.trees import Tree

BUSYBOX = "busybox"
DEFAULT = {
    "chown", "dac_override", "fsetid", "fowner", "mknod", "net_raw", "setgid", "setuid", "setfcap", "setpcap",
    "net_bind_service", "sys_chroot", "kill", "audit_write",
}  # fmt: skip
NUMBERS = {
    "chown": 0, "dac_override": 1, "fowner": 3, "fsetid": 4, "kill": 5, "setgid": 6, "setuid": 7, "setpcap": 8,
    "net_bind_service": 10, "net_admin": 12, "net_raw": 13, "sys_chroot": 18, "sys_ptrace": 19, "sys_admin": 21,
    "sys_resource": 24, "mknod": 27, "audit_write": 29, "setfcap": 31,
}  # fmt: skip


def mask(names: set[str]) -> int:
    return sum(1 << NUMBERS[name] for name in names)


def capabilities(client: Client, *options: str) -> dict[str, int]:
    """The sets of process 1: CapEff and its like."""
    out = client.ok("run", "--rm", *options, BUSYBOX, "grep", "Cap", "/proc/self/status")
    return {line.split(":")[0]: int(line.split()[1], 16) for line in out.splitlines()}


def bounding() -> int:
    found = re.search(r"CapBnd:\s+(\w+)", Path("/proc/self/status").read_text())
    assert found
    return int(found[1], 16)


@pytest.mark.cgroup2
def test_default_capabilities(client: Client) -> None:
    seen = capabilities(client)
    assert seen["CapEff"] == seen["CapPrm"] == seen["CapBnd"] == mask(DEFAULT)
    assert seen["CapInh"] == seen["CapAmb"] == 0


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (("--cap-add", "NET_ADMIN"), DEFAULT | {"net_admin"}),
        (("--cap-add", "CAP_SYS_PTRACE", "--cap-drop", "mknod"), (DEFAULT | {"sys_ptrace"}) - {"mknod"}),
        (("--cap-drop", "ALL"), set()),
        (("--cap-drop", "ALL", "--cap-add", "KILL"), {"kill"}),
    ],
)
def test_capabilities_on_request(client: Client, options: tuple[str, ...], expected: set[str]) -> None:
    assert capabilities(client, *options)["CapEff"] == mask(expected)


def test_capabilities_of_an_ordinary_user(client: Client) -> None:
    seen = capabilities(client, "-u", "1234")
    assert (seen["CapEff"], seen["CapPrm"], seen["CapBnd"]) == (0, 0, mask(DEFAULT))


@pytest.mark.cgroup2
def test_privileged_has_what_the_engine_has(client: Client) -> None:
    """A capability beyond the engine's own bounding set is left out with a warning, not refused by the kernel."""
    assert capabilities(client, "--privileged")["CapEff"] == bounding()


def test_capability_beyond_the_engines(client: Client) -> None:
    if bounding() >> NUMBERS["sys_resource"] & 1:
        assert capabilities(client, "--cap-add", "SYS_RESOURCE")["CapEff"] == mask(DEFAULT | {"sys_resource"})
        return
    result = client("run", "--rm", "--cap-add", "SYS_RESOURCE", BUSYBOX, "true")
    assert result.code == 0, result
    name = client("create", "--cap-add", "SYS_RESOURCE", BUSYBOX)
    assert "SYS_RESOURCE" in name.err


def test_unknown_capability(client: Client) -> None:
    client.fails("run", "--rm", "--cap-add", "FLY", BUSYBOX, "true", code=125, match='(?i)capability.*"?CAP_FLY')


# A system call that the default profile refuses, as a command of busybox.
REFUSED = {
    "mount": "mount -t tmpfs none /tmp",
    "unshare-user": "unshare -U true",
    "unshare-mount": "unshare -m true",
    "reboot": "reboot -f",
    "swapon": "swapon /bin/busybox",
    "settime": "date -s 2000-01-01",
    "insmod": "insmod /bin/busybox",
    "setns": "nsenter -t 1 -n true",
}


@pytest.mark.cgroup2
@pytest.mark.parametrize("name", REFUSED)
def test_the_default_profile_refuses(client: Client, name: str) -> None:
    result = client("run", "--rm", BUSYBOX, "sh", "-c", REFUSED[name])
    assert re.search("(?i)not permitted|permission denied", result.err), result


@pytest.mark.cgroup2
def test_seccomp_mode(client: Client) -> None:
    def mode(*options: str) -> str:
        return client.ok("run", "--rm", *options, BUSYBOX, "grep", "Seccomp:", "/proc/self/status").split()[1]

    assert (mode(), mode("--security-opt", "seccomp=unconfined"), mode("--privileged")) == ("2", "0", "0")


def test_own_seccomp_profile(client: Client, tmp_path: Path) -> None:
    profile = tmp_path / "profile.json"
    profile.write_text(
        '{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["mkdir", "mkdirat"], '
        '"action": "SCMP_ACT_ERRNO", "errnoRet": 1}]}'
    )
    option = ["--security-opt", f"seccomp={profile}"]
    result = client("run", "--rm", *option, BUSYBOX, "sh", "-c", "touch /file && mkdir /dir")
    assert result.code == 1 and "Operation not permitted" in result.err


def test_unprivileged_user_namespace_is_allowed_without_the_profile(client: Client) -> None:
    client.ok("run", "--rm", "--security-opt", "seccomp=unconfined", BUSYBOX, "unshare", "-U", "true")


def test_no_new_privileges(client: Client) -> None:
    def flag(*options: str) -> str:
        return client.ok("run", "--rm", *options, BUSYBOX, "grep", "NoNewPrivs", "/proc/self/status").split()[1]

    assert (flag(), flag("--security-opt", "no-new-privileges")) == ("0", "1")
    assert flag("--security-opt", "no-new-privileges", "-u", "1234") == "1"


MASKED = ["/proc/kcore", "/proc/keys", "/proc/timer_list", "/sys/firmware", "/proc/acpi", "/proc/scsi"]
READ_ONLY = ["/proc/sys", "/proc/sysrq-trigger", "/proc/irq", "/proc/bus", "/proc/fs"]


@pytest.mark.cgroup2
def test_masked_paths(client: Client) -> None:
    for path in filter(os.path.exists, MASKED):
        look = f"if [ -d {path} ]; then ls -A {path}; else cat {path}; fi | wc -c"
        assert client.ok("run", "--rm", BUSYBOX, "sh", "-c", look).strip() == "0", path
    host = client.ok(
        "run", "--rm", "--security-opt", "systempaths=unconfined", BUSYBOX, "wc", "-c", "/proc/timer_list"
    )
    assert int(host.split()[0]) > 0


@pytest.mark.cgroup2
def test_read_only_paths(client: Client) -> None:
    mounts = client.ok("run", "--rm", BUSYBOX, "cat", "/proc/self/mountinfo").splitlines()
    options = {line.split()[4]: line.split()[5].split(",") for line in mounts}
    for path in filter(os.path.exists, READ_ONLY):
        assert "ro" in options[path], path
    for path in filter(os.path.exists, ("/proc/sys/kernel/domainname", "/proc/sysrq-trigger")):
        result = client("run", "--rm", BUSYBOX, "sh", "-c", f"echo x >{path}")
        assert "Read-only file system" in result.err, (path, str(result))


@pytest.mark.cgroup2
def test_all_namespaces_are_its_own(client: Client) -> None:
    kinds = ["ipc", "mnt", "net", "pid", "uts"]
    out = client.ok(
        "run", "--rm", BUSYBOX, "sh", "-c", "".join(f"readlink /proc/self/ns/{kind};" for kind in kinds)
    )
    for kind, inside in zip(kinds, out.split(), strict=True):
        assert inside != os.readlink(f"/proc/self/ns/{kind}"), kind


@pytest.mark.cgroup2
def test_the_hosts_root_is_gone(client: Client) -> None:
    """Nothing of the host is mounted; the only root is the image's."""
    mounts = client.ok("run", "--rm", BUSYBOX, "cat", "/proc/self/mountinfo").splitlines()
    points = {line.split()[4] for line in mounts}
    assert points >= {"/", "/proc", "/dev", "/dev/pts", "/dev/shm", "/dev/mqueue", "/sys", "/sys/fs/cgroup"}
    roots = [line for line in mounts if line.split()[4] == "/"]
    assert len(roots) == 1 and " - overlay " in roots[0]
    binds = {line.split()[4] for line in mounts if line.split()[3] != "/" and "/etc/" in line.split()[4]}
    assert binds == {"/etc/hosts", "/etc/hostname", "/etc/resolv.conf"}
    assert not [line for line in mounts if " shared:" in line]


def test_escape_by_working_directory(client: Client) -> None:
    """CVE-2024-21626: a working directory that names a descriptor of the engine's must not lead to the host."""
    for number in range(3, 12):
        result = client("run", "--rm", "-w", f"/proc/self/fd/{number}", BUSYBOX, "ls", "../../../..")
        assert result.code != 0 or "bin" in result.out.split(), result
        assert "boot" not in result.out.split(), f"the host's root through descriptor {number}"


def test_hostname_and_processes(client: Client) -> None:
    out = client.ok("run", "--rm", BUSYBOX, "sh", "-c", "hostname; ps -o pid,args")
    hostname, _, *rest = out.splitlines()
    assert re.fullmatch(r"[0-9a-f]{12}", hostname)
    assert len(rest) <= 2, "only the shell and ps"


@pytest.mark.cgroup2
def test_cgroup_tree_is_read_only(client: Client) -> None:
    group = "/sys/fs/cgroup/x" if pure_cgroup2() else "/sys/fs/cgroup/pids/x"
    result = client("run", "--rm", BUSYBOX, "mkdir", group)
    assert result.code != 0 and "Read-only file system" in result.err


def test_links_in_the_image_do_not_mislead_set_up(client: Client, registry: Registry) -> None:
    """An image whose /proc, /etc/hosts or /dev/shm are links must not make the engine write or mount outside."""
    evil = Tree().directory("etc").symlink("etc/hosts", "/../../../../tmp/proa-escaped").symlink("proc", "/")
    evil.symlink("etc/resolv.conf", "../../../../../../tmp/proa-escaped").symlink("dev", "/../../../tmp")
    registry.push(images.build([images.layer(evil), busybox_layer()]), "evil/links", "1")
    name = f"{registry.address}/evil/links:1"
    client("run", "--rm", name, "true")
    assert not os.path.lexists("/tmp/proa-escaped") and not os.path.lexists("/tmp/pts")
    client.ok("rmi", "-f", name)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ((), [0]),
        (("-u", "1000:1000"), [1000]),
        (("-u", "7"), [0]),
        (("--group-add", "33"), [0, 33]),
        (("-u", "12:34", "--group-add", "www-data"), [34, 33]),
    ],
)
def test_the_primary_group_is_among_the_groups(
    client: Client, options: tuple[str, ...], expected: list[int]
) -> None:
    """CVE-2022-36109: a process without it would get round a file's denial to its group."""
    look = ("grep", "Groups", "/proc/self/status")
    seen = client.ok("run", "--rm", *options, BUSYBOX, *look).split()[1:]
    assert sorted(map(int, seen)) == sorted(expected)


def test_groups_of_an_exec(client: Client) -> None:
    box = client.detached("--group-add", "44", BUSYBOX, "sleep", "1000")
    for options, expected in (((), {"0", "44"}), (("-u", "7:8"), {"8", "44"})):
        seen = client.ok("exec", *options, box, "grep", "Groups", "/proc/self/status").split()[1:]
        assert set(seen) == expected


def test_no_kernel_parameter_of_the_host_is_set(api: Api, client: Client) -> None:
    """The engine's own check: clients may leave theirs out."""
    swappiness = Path("/proc/sys/vm/swappiness")
    before = swappiness.read_text()
    donor = client.detached("--network", "host", BUSYBOX, "sleep", "1000")
    for mode, key, said in (
        ("bridge", "vm.swappiness", "not in a separate kernel namespace"),
        ("bridge", "net/../vm/swappiness", "not the name of a kernel parameter"),
        ("host", "net.ipv4.ip_default_ttl", "not allowed in host network namespace"),
        (f"container:{donor}", "net.ipv4.ip_default_ttl", "not allowed in host network namespace"),
        ("bridge", "kernel.hostname", "conflicts with the OCI"),
    ):
        settings = {"Sysctls": {key: "60"}, "NetworkMode": mode}
        made = api.post("/containers/create", body={"Image": BUSYBOX, "Cmd": ["true"], "HostConfig": settings})
        assert made.status == 201, made
        started = api.post(f"/containers/{made.json['Id']}/start")
        assert started.status >= 400 and said in started.json["message"], (key, started)
    assert swappiness.read_text() == before


def test_ipc_is_joined_only_where_it_is_shareable(client: Client) -> None:
    private = client.detached(BUSYBOX, "sleep", "1000")
    client.fails(
        "run", "--rm", "--ipc", f"container:{private}", BUSYBOX, "true", code=125, match="non-shareable IPC"
    )
    shareable = client.detached("--ipc", "shareable", BUSYBOX, "sleep", "1000")
    look = ("readlink", "/proc/self/ns/ipc")
    joined = client.ok("run", "--rm", "--ipc", f"container:{shareable}", BUSYBOX, *look)
    assert joined == client.ok("exec", shareable, *look)


def test_a_cgroup_parent_leads_nowhere_else(client: Client) -> None:
    box = client.detached("--cgroup-parent", "../../proa-test-parent", BUSYBOX, "sleep", "1000")
    pid = client.inspect(box, "{{.State.Pid}}").strip()
    assert f":/proa-test-parent/{box}" in Path(f"/proc/{pid}/cgroup").read_text()
    client.ok("rm", "-f", box)
    for parent in Path("/sys/fs/cgroup").glob("**/proa-test-parent"):
        parent.rmdir()  # it is the user's: neither Docker nor Proa know whether they made it
