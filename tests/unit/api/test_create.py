"""From Docker's create body to what the engine is asked for, and what is refused on the way."""

from __future__ import annotations

from typing import Any

import pytest

from proa.api.request import convert
from proa.api.translate import create
from proa.api.types.containers import CreateBody
from proa.engine import resources
from proa.engine.options import ContainerOptions, Device, EndpointOptions, Mount, ThrottleDevice, Ulimit
from proa.errors import InvalidArgument, Unsupported


def options(**body: Any) -> ContainerOptions:
    return create.options(convert({"Image": "busybox", **body}, CreateBody))


def host(**config: Any) -> ContainerOptions:
    return options(HostConfig=config)


def test_an_empty_body_asks_for_defaults() -> None:
    assert options() == ContainerOptions(image="busybox")


def test_nulls_count_as_absent() -> None:
    """Go's clients send null for every empty list and map."""
    body = {
        "Cmd": None, "Env": None, "Entrypoint": None, "Volumes": None, "Labels": None, "Tty": None,
        "StopTimeout": None, "Healthcheck": None,
        "HostConfig": {
            "Binds": None, "CapAdd": None, "LogConfig": {"Type": "", "Config": None}, "PidsLimit": None,
            "MemorySwappiness": None, "OomKillDisable": None, "PortBindings": None, "Init": None,
            "Mounts": None, "RestartPolicy": {"Name": "no", "MaximumRetryCount": 0},
        },
        "NetworkingConfig": {"EndpointsConfig": {"bridge": {"IPAMConfig": None, "Aliases": None}}},
    }  # fmt: skip
    assert options(**body) == ContainerOptions(image="busybox", networks={"bridge": EndpointOptions()})


def test_config_is_carried_over() -> None:
    found = options(
        Cmd=["a", "b"], Entrypoint="sh", Env=["A=1", "B"], User="1:2", WorkingDir="/w", Hostname="h",
        Domainname="d", Labels={"k": "v"}, Tty=True, OpenStdin=True, StdinOnce=True, AttachStdin=True,
        AttachStdout=True, AttachStderr=True, StopSignal="INT", StopTimeout=0, ExposedPorts={"80": {}},
    )  # fmt: skip
    assert found == ContainerOptions(
        image="busybox", command=["a", "b"], entrypoint=["sh"], env=["A=1", "B"], user="1:2", working_dir="/w",
        hostname="h", domainname="d", labels={"k": "v"}, tty=True, open_stdin=True, stdin_once=True,
        attach_stdin=True, attach_stdout=True, attach_stderr=True, stop_signal="INT", stop_timeout=0,
        exposed_ports=["80/tcp"],
    )  # fmt: skip


def test_the_runtime_where_docker_py_puts_it() -> None:
    assert options(Runtime="runc").runtime == "runc"
    assert options(Runtime="runc", HostConfig={"Runtime": "crun"}).runtime == "crun"


def test_host_config_is_carried_over() -> None:
    found = host(
        AutoRemove=True, Init=True, Runtime="runc", VolumesFrom=["other:ro"], NetworkMode="container:x",
        Dns=["1.1.1.1"], DnsSearch=["s"], DnsOptions=["o"], ExtraHosts=["a:1.2.3.4", "b:host-gateway"],
        Privileged=True, CapAdd=["net_admin", "CAP_SYS_TIME"], CapDrop=["all"], GroupAdd=["g"],
        SecurityOpt=["no-new-privileges"], MaskedPaths=[], ReadonlyPaths=["/p"], ReadonlyRootfs=True,
        Devices=[{"PathOnHost": "/dev/a", "PathInContainer": "/dev/b", "CgroupPermissions": "r"}],
        DeviceCgroupRules=["c 1:3 rw"], Ulimits=[{"Name": "nofile", "Soft": 1, "Hard": 2}],
        Sysctls={"net.x": "1"}, ShmSize=1, IpcMode="container:x", PidMode="host", UTSMode="host",
        CgroupnsMode="private", CgroupParent="/p", OomScoreAdj=5, ConsoleSize=[24, 80],
        LogConfig={"Type": "json-file", "Config": {"max-size": "1m"}}, Annotations={"a": "b"},
    )  # fmt: skip
    assert found == ContainerOptions(
        image="busybox", auto_remove=True, init=True, runtime="runc", volumes_from=["other:ro"],
        network_mode="container:x", dns=["1.1.1.1"], dns_search=["s"], dns_options=["o"],
        extra_hosts=["a:1.2.3.4", "b:host-gateway"], privileged=True,
        cap_add=["CAP_NET_ADMIN", "CAP_SYS_TIME"], cap_drop=["ALL"], group_add=["g"],
        security_opt=["no-new-privileges"], masked_paths=[], readonly_paths=["/p"], read_only=True,
        devices=[Device(host_path="/dev/a", container_path="/dev/b", permissions="r")],
        device_cgroup_rules=["c 1:3 rw"], ulimits=[Ulimit(name="nofile", soft=1, hard=2)],
        sysctls={"net.x": "1"}, shm_size=1, ipc_mode="container:x", pid_mode="host", uts_mode="host",
        cgroupns_mode="private", cgroup_parent="/p", oom_score_adj=5, console_size=(24, 80),
        log_driver="json-file", log_options={"max-size": "1m"}, annotations={"a": "b"},
    )  # fmt: skip


def test_limits_are_carried_over() -> None:
    limits = host(
        Memory=1 << 30, MemorySwap=-1, MemoryReservation=1 << 20, MemorySwappiness=0, OomKillDisable=True,
        NanoCpus=5, CpuShares=6, CpuPeriod=1000, CpuQuota=-1, CpusetCpus="0", CpusetMems="0", PidsLimit=-1,
        BlkioWeight=100, BlkioDeviceReadIOps=[{"Path": "/dev/a", "Rate": 1}],
    ).resources  # fmt: skip
    assert (limits.memory, limits.memory_swap, limits.memory_reservation) == (1 << 30, -1, 1 << 20)
    assert (limits.memory_swappiness, limits.oom_kill_disable) == (0, True)
    assert (limits.nano_cpus, limits.cpu_shares, limits.cpu_period, limits.cpu_quota) == (5, 6, 1000, -1)
    assert (limits.cpuset_cpus, limits.cpuset_mems, limits.pids_limit) == ("0", "0", -1)
    assert limits.blkio_weight == 100
    assert limits.device_read_iops == [ThrottleDevice(path="/dev/a", rate=1)]


@pytest.mark.parametrize("mode", ["", "default", "bridge"])
def test_the_default_network_is_the_bridge(mode: str) -> None:
    assert host(NetworkMode=mode).network_mode == "bridge"
    endpoint = {"EndpointsConfig": {"default": {"MacAddress": "02:42:ac:11:00:02"}}}
    found = options(HostConfig={"NetworkMode": mode}, NetworkingConfig=endpoint)
    assert found.network_mode == "bridge"
    assert found.networks == {"bridge": EndpointOptions(mac_address="02:42:ac:11:00:02")}


def test_what_is_wanted_of_networks() -> None:
    assert options(NetworkingConfig={"EndpointsConfig": {"none": None}}).networks == {"none": EndpointOptions()}
    wanted = {
        "one": {
            "IPAMConfig": {"IPv4Address": "10.0.0.9", "IPv6Address": "fd00::9", "LinkLocalIPs": ["169.254.1.1"]},
            "Aliases": ["a"], "Links": ["b:c"], "DriverOpts": {"d": "e"}, "GwPriority": 5,
        },
        "two": {},
    }  # fmt: skip
    found = options(HostConfig={"NetworkMode": "two"}, NetworkingConfig={"EndpointsConfig": wanted},
                    MacAddress="02:42:ac:11:00:02")  # fmt: skip
    assert found.networks == {
        "one": EndpointOptions(
            aliases=["a"], links=["b:c"], address="10.0.0.9", address6="fd00::9", gateway_priority=5,
            link_local_addresses=["169.254.1.1"], driver_options={"d": "e"},
        ),
        "two": EndpointOptions(mac_address="02:42:ac:11:00:02"),
    }  # fmt: skip


@pytest.mark.parametrize("place", ["annotation", "label"])
@pytest.mark.parametrize(("value", "expected"), [("true", True), ("1", True), ("false", False), ("", False)])
def test_memory_only_containers_are_asked_for_by_name(place: str, value: str, expected: bool) -> None:
    named = {create.EPHEMERAL: value}
    found = host(Annotations=named) if place == "annotation" else options(Labels=named)
    assert found.ephemeral is expected


MOUNTS: list[tuple[dict[str, Any], Mount]] = [
    (
        {"Binds": ["/a:/b:ro,rslave"]},
        Mount(
            type="bind",
            source="/a",
            target="/b",
            mode="ro,rslave",
            read_only=True,
            propagation="rslave",
            create_source=True,
        ),
    ),
    (
        {"Binds": ["data:/b:nocopy"]},
        Mount(type="volume", source="data", target="/b", no_copy=True, create_source=True, mode="nocopy"),
    ),
    ({"Binds": ["/b"]}, Mount(type="volume", target="/b")),
    (
        {"Binds": ["/a:/b:z,cached"]},
        Mount(type="bind", source="/a", target="/b", create_source=True, mode="z,cached"),
    ),
    (
        {"Binds": ["data:/b"], "VolumeDriver": "x"},
        Mount(type="volume", source="data", target="/b", driver="x", create_source=True, mode="z"),
    ),
    ({"Tmpfs": {"/t": "size=1m"}}, Mount(type="tmpfs", target="/t", tmpfs_options="size=1m")),
    (
        {"Mounts": [{"Type": "bind", "Source": "/a", "Target": "/b", "ReadOnly": True}]},
        Mount(type="bind", source="/a", target="/b", read_only=True),
    ),
    (
        {
            "Mounts": [
                {
                    "Type": "bind",
                    "Source": "/a",
                    "Target": "/b",
                    "BindOptions": {"Propagation": "rshared", "NonRecursive": True, "CreateMountpoint": True},
                }
            ]
        },
        Mount(
            type="bind", source="/a", target="/b", propagation="rshared", non_recursive=True, create_source=True
        ),
    ),
    (
        {
            "Mounts": [
                {
                    "Type": "volume",
                    "Source": "v",
                    "Target": "/b",
                    "VolumeOptions": {
                        "NoCopy": True,
                        "Labels": {"a": "b"},
                        "Subpath": "s",
                        "DriverConfig": {"Name": "local", "Options": {"o": "1"}},
                    },
                }
            ]
        },
        Mount(
            type="volume",
            source="v",
            target="/b",
            mode="z",
            no_copy=True,
            labels={"a": "b"},
            subpath="s",
            driver="local",
            driver_options={"o": "1"},
        ),
    ),
    (
        {"Mounts": [{"Type": "image", "Source": "i", "Target": "/b", "ImageOptions": {"Subpath": "s"}}]},
        Mount(type="image", source="i", target="/b", read_only=True, subpath="s"),
    ),
    (
        {"Mounts": [{"Type": "tmpfs", "Target": "/b", "TmpfsOptions": {"SizeBytes": 9, "Mode": 0o700}}]},
        Mount(type="tmpfs", target="/b", tmpfs_size=9, tmpfs_mode=0o700),
    ),
]


@pytest.mark.parametrize(("config", "expected"), MOUNTS)
def test_mounts_are_read_in_all_their_spellings(config: dict[str, Any], expected: Mount) -> None:
    assert host(**config).mounts == [expected]


def test_volumes_of_the_body_are_anonymous_unless_mounted_already() -> None:
    found = options(Volumes={"/a": {}, "/b/": None}, HostConfig={"Binds": ["/x:/b"]}).mounts
    assert [(mount.type, mount.target) for mount in found] == [("bind", "/b"), ("volume", "/a")]


INVALID: list[tuple[dict[str, Any], str]] = [
    ({"Env": ["=x"]}, "invalid environment variable: =x"),
    ({"ExposedPorts": {"http": {}}}, "invalid port specification: http"),
    ({"ExposedPorts": {"80/icmp": {}}}, "invalid proto: icmp"),
    ({"HostConfig": {"Binds": [""]}}, "invalid volume specification: ''"),
    ({"HostConfig": {"Binds": ["a:b:c:d"]}}, "invalid volume specification: 'a:b:c:d'"),
    ({"HostConfig": {"Binds": ["/a:b"]}}, "mount path must be absolute"),
    ({"HostConfig": {"Binds": ["/a:/"]}}, "destination can't be '/'"),
    ({"HostConfig": {"Binds": ["/a:/b:rx"]}}, "invalid mode: rx"),
    ({"HostConfig": {"Binds": ["/a:/b:ro,rw"]}}, "invalid mode: ro,rw"),
    ({"HostConfig": {"Binds": ["./a:/b"]}}, "use absolute path"),
    ({"HostConfig": {"Binds": ["/a:/b", "/c:/b/"]}}, "Duplicate mount point: /b"),
    (
        {"HostConfig": {"Mounts": [{"Type": "x", "Target": "/a"}]}},
        'invalid mount config for type "x": mount type unknown',
    ),
    ({"HostConfig": {"Mounts": [{"Type": "bind", "Target": "/a"}]}}, "field Source must not be empty"),
    ({"HostConfig": {"Mounts": [{"Type": "bind", "Source": "a", "Target": "/a"}]}}, "mount path must be absolute"),
    ({"HostConfig": {"Mounts": [{"Type": "volume"}]}}, "field Target must not be empty"),
    (
        {"HostConfig": {"Mounts": [{"Type": "bind", "Source": "/a", "Target": "/a", "VolumeOptions": {}}]}},
        "field VolumeOptions must not be specified",
    ),
    ({"HostConfig": {"RestartPolicy": {"Name": "often"}}}, "unknown policy 'often'"),
    (
        {"HostConfig": {"RestartPolicy": {"Name": "no", "MaximumRetryCount": 1}}},
        "maximum retry count can only be used",
    ),
    (
        {"HostConfig": {"RestartPolicy": {"Name": "always"}, "AutoRemove": True}},
        "can't create 'AutoRemove' container with restart policy",
    ),
    ({"HostConfig": {"IpcMode": "x"}}, "invalid IPC mode: x"),
    ({"HostConfig": {"PidMode": "container:"}}, "invalid PID mode: container:"),
    ({"HostConfig": {"UTSMode": "private"}}, "invalid UTS mode: private"),
    ({"HostConfig": {"CgroupnsMode": "x"}}, "invalid cgroup namespace mode: x"),
    ({"HostConfig": {"CapAdd": ["FLY"]}}, 'invalid CapAdd: unknown capability: "FLY"'),
    ({"HostConfig": {"ExtraHosts": ["a"]}}, 'bad format for add-host: "a"'),
    ({"HostConfig": {"ExtraHosts": ["a:b"]}}, 'invalid IP address in add-host: "b"'),
    ({"HostConfig": {"ShmSize": -1}}, "SHM size can not be less than 0"),
    ({"HostConfig": {"CpuPeriod": 1}}, "CPU cfs period can not be less than 1ms"),
    ({"HostConfig": {"CpuQuota": 1}}, "CPU cfs quota can not be less than 1ms"),
    *(
        ({"HostConfig": {"CpusetCpus": text}}, f"Invalid value {text} for cpuset cpus: invalid format: {text}")
        for text in ("3-1", "0,", "a", "-1", "0-", "0 ", "0--1", "0,,1")
    ),
    ({"HostConfig": {"CpusetCpus": "0-8193"}}, "cpuset cpus: value of out range, maximum is 8192"),
    ({"HostConfig": {"CpusetMems": "a"}}, "Invalid value a for cpuset mems: invalid format: a"),
    (
        {"HostConfig": {"CpusetCpus": "0,8000"}},
        "Requested CPUs are not available - requested 0,8000, available: 0",
    ),
    ({"HostConfig": {"CpusetMems": "8000"}}, "Requested memory nodes are not available"),
    ({"HostConfig": {"Isolation": "hyperv"}}, "invalid isolation (hyperv): linux only supports 'default'"),
    ({"HostConfig": {"NanoCpus": 10**15}}, "range of CPUs is from 0.01 to"),
    ({"HostConfig": {"Memory": 10 << 20, "MemoryReservation": 20 << 20}}, "memory reservation limit"),
    ({"HostConfig": {"Ulimits": [{"Name": "nofile", "Soft": 2, "Hard": 1}]}}, "less than or equal to hard limit"),
    ({"HostConfig": {"Devices": [{"PathOnHost": "/dev/a", "CgroupPermissions": "x"}]}}, "invalid device mode: x"),
    ({"HostConfig": {"ConsoleSize": [1]}}, "invalid console size"),
    ({"HostConfig": {"Memory": 1 << 64}}, "invalid JSON"),
    ({"HostConfig": {"Memory": "1g"}}, "invalid JSON"),
    ({"Cmd": 5}, "invalid JSON"),
    ({"HostConfig": []}, "invalid JSON"),
    ({"MacAddress": "a", "NetworkingConfig": {"EndpointsConfig": {"bridge": {"MacAddress": "b"}}}}, "must match"),
]


@pytest.mark.parametrize(("body", "message"), INVALID)
def test_nonsense_is_refused_in_dockers_words(body: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidArgument) as failure:
        resources.validate(options(**body))  # as the engine does, with what the translation lets pass
    assert message in failure.value.message


UNSUPPORTED: list[tuple[dict[str, Any], str]] = [
    ({"HostConfig": {"DeviceRequests": [{"Count": -1, "Capabilities": [["gpu"]]}]}}, "DeviceRequests"),
    ({"HostConfig": {"UsernsMode": "private"}}, "UsernsMode"),
    ({"HostConfig": {"Cgroup": "x"}}, "Cgroup"),
    ({"HostConfig": {"KernelMemory": 1}}, "KernelMemory"),
    ({"HostConfig": {"KernelMemoryTCP": 1}}, "KernelMemoryTCP"),
    ({"HostConfig": {"CpuCount": 1}}, "CpuCount"),
    ({"HostConfig": {"CpuPercent": 1}}, "CpuPercent"),
    ({"HostConfig": {"IOMaximumIOps": 1}}, "IOMaximumIOps"),
    ({"HostConfig": {"IOMaximumBandwidth": 1}}, "IOMaximumBandwidth"),
]


@pytest.mark.parametrize(("body", "option"), UNSUPPORTED)
def test_what_proa_can_not_do_is_refused_by_name(body: dict[str, Any], option: str) -> None:
    with pytest.raises(Unsupported) as failure:
        options(**body)
    assert option in failure.value.message


HARMLESS: list[dict[str, Any]] = [
    {"HostConfig": {"PortBindings": {}}},
    {"HostConfig": {"PortBindings": {"80/tcp": []}}},
    {"HostConfig": {"UsernsMode": "host"}},
    {"HostConfig": {"RestartPolicy": {"Name": "no"}}},
    {"HostConfig": {"Isolation": "default"}},
    {"Healthcheck": {"Test": ["NONE"]}},
    {"Healthcheck": {}},
    {"ArgsEscaped": True, "OnBuild": [], "Shell": ["sh"]},
    {"ExposedPorts": {"80/tcp": {}}},
]


@pytest.mark.parametrize("body", HARMLESS)
def test_what_changes_nothing_is_accepted(body: dict[str, Any]) -> None:
    assert options(**body).image == "busybox"
