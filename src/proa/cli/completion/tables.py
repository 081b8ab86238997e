"""Which names belong where: for each command's arguments, each flag's values, each condition of `--filter`."""

from __future__ import annotations

from proa.cli.completion.sources import (
    FILES,
    NOTHING,
    Candidates,
    Source,
    containers,
    contexts,
    images,
    mode_or_container,
    mount_sources,
    network_modes,
    networks,
    objects,
    places,
    registries,
    runtimes,
    snapshots,
    variables,
    volumes,
    words,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from proa.cli.command import Invocation

_ALL = containers()
_RUNNING = containers("running")
_ALIVE = containers("running", "paused", "restarting")
_STATES = ("created", "restarting", "running", "removing", "paused", "exited", "dead")
_SIGNALS = words("SIGHUP", "SIGINT", "SIGKILL", "SIGQUIT", "SIGSTOP", "SIGTERM", "SIGUSR1", "SIGUSR2")
_CAPABILITIES = words(
    "ALL", "AUDIT_CONTROL", "AUDIT_READ", "AUDIT_WRITE", "BLOCK_SUSPEND", "BPF", "CHECKPOINT_RESTORE", "CHOWN",
    "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID", "IPC_LOCK", "IPC_OWNER", "KILL", "LEASE",
    "LINUX_IMMUTABLE", "MAC_ADMIN", "MAC_OVERRIDE", "MKNOD", "NET_ADMIN", "NET_BIND_SERVICE", "NET_BROADCAST",
    "NET_RAW", "PERFMON", "SETFCAP", "SETGID", "SETPCAP", "SETUID", "SYSLOG", "SYS_ADMIN", "SYS_BOOT",
    "SYS_CHROOT", "SYS_MODULE", "SYS_NICE", "SYS_PACCT", "SYS_PTRACE", "SYS_RAWIO", "SYS_RESOURCE", "SYS_TIME",
    "SYS_TTY_CONFIG", "WAKE_ALARM",
)  # fmt: skip

# Module of a command: what its arguments are, in turn; the last kind is that of all that follow.
ARGUMENTS: dict[str, tuple[Source, ...]] = {
    "attach": (_RUNNING,), "commit": (_ALL, NOTHING), "cp": (places,), "create": (images, FILES), "diff": (_ALL,),
    "context_create": (NOTHING,), "context_export": (contexts, FILES), "context_import": (NOTHING, FILES),
    "context_inspect": (contexts,), "context_rm": (contexts,), "context_update": (contexts,),
    "context_use": (contexts,),
    "exec": (_RUNNING, FILES), "export": (_ALL,), "fork": (_ALL,), "history": (images,),
    "image_verify": (images,), "images": (images,),
    "import_": (FILES, NOTHING), "inspect": (objects,), "inspect_container": (_ALL,), "inspect_image": (images,),
    "inspect_network": (networks,), "inspect_volume": (volumes,), "kill": (_ALIVE,), "login": (registries,),
    "logout": (registries,), "logs": (_ALL,),
    "image_outdated": (images,), "manifest_annotate": (NOTHING,), "manifest_create": (NOTHING, images),
    "manifest_inspect": (images,), "manifest_push": (NOTHING,), "manifest_rm": (NOTHING,),
    "network_connect": (networks, _ALL), "network_create": (NOTHING,), "network_disconnect": (networks, _ALL),
    "network_rm": (networks,), "pause": (_RUNNING,), "port": (_RUNNING, NOTHING), "pull": (NOTHING,),
    "push": (images,), "rename": (_ALL, NOTHING), "restart": (_ALL,),
    "rewind": (containers("created", "exited"), snapshots), "rm": (_ALL,), "rmi": (images,),
    "run": (images, FILES), "save": (images,), "search": (NOTHING,), "snapshot": (_ALL, NOTHING),
    "snapshot_ls": (_ALL,), "snapshot_rm": (_ALL, snapshots), "start": (containers("created", "exited"),),
    "stats": (_RUNNING,), "stop": (_ALIVE,), "tag": (images,), "top": (_RUNNING, NOTHING),
    "unpause": (containers("paused"),), "update": (_ALL,),
    "volume_clone": (volumes, NOTHING), "volume_create": (NOTHING,),
    "volume_export": (volumes,), "volume_import": (volumes, FILES), "volume_rename": (volumes, NOTHING),
    "volume_rm": (volumes,), "volume_snapshot": (volumes, NOTHING), "volume_update": (volumes,), "wait": (_ALIVE,),
}  # fmt: skip

GLOBAL_VALUES: dict[str, Source] = {
    "context": contexts, "host": NOTHING, "log-level": words("debug", "info", "warn", "error", "fatal"),
}  # fmt: skip

# Flag: its values, whatever the command. One that is missing takes files.
FLAG_VALUES: dict[str, Source] = {
    **dict.fromkeys((
        "add-host", "annotation", "author", "blkio-weight", "change", "cpu-count", "cpu-percent", "cpu-period",
        "cpu-quota", "cpu-rt-period", "cpu-rt-runtime", "cpu-shares", "cpus", "cpuset-cpus", "cpuset-mems",
        "description", "detach-keys", "dns", "dns-search", "domainname", "expose", "group-add", "health-cmd",
        "health-interval", "health-retries", "health-start-interval", "health-start-period", "health-timeout",
        "hostname", "ip", "ip6", "kernel-memory", "label", "last", "link-local-ip", "log-opt", "mac-address",
        "memory", "memory-reservation", "memory-swap", "memory-swappiness", "message", "name", "network-alias",
        "oom-score-adj", "opt", "password", "pids-limit", "publish", "shm-size", "since", "stop-timeout", "sysctl",
        "tail", "timeout", "tmpfs", "until", "user", "username", "workdir",
    ), NOTHING),
    "attach": words("STDERR", "STDIN", "STDOUT"), "cap-add": _CAPABILITIES, "cap-drop": _CAPABILITIES,
    "cgroupns": words("host", "private"), "copies": NOTHING,
    "dns-option": words("attempts:", "ndots:", "timeout:", no_space=True),
    "docker": words("from=", "host=", "ca=", "cert=", "key=", "skip-tls-verify=", no_space=True),
    "driver": words("local", "bridge"), "egress": words("allow=", "deny", no_space=True), "env": variables,
    "format": words("json", "table"), "from": contexts,
    "gpus": words("all"), "health-on-failure": words("kill", "none", "restart", "stop"),
    "ipc": mode_or_container("host", "none", "private", "shareable"), "link": _ALL,
    "log-driver": words("journald", "json-file", "local", "none", "syslog"),
    "network": network_modes, "pid": mode_or_container("host"), "platform": words("linux/amd64", "linux/arm64"),
    "publish-policy": words("direct", "host-input"), "pull": words("always", "missing", "never"),
    "restart": words("always", "no", "on-failure", "unless-stopped"), "runtime": runtimes,
    "security-opt": words("apparmor=", "label=", "no-new-privileges", "seccomp=", "systempaths=unconfined"),
    "signal": _SIGNALS, "snapshot": snapshots, "stop-signal": _SIGNALS,
    "type": words("container", "image", "network", "volume"),
    "ulimit": words(
        "core=", "cpu=", "data=", "fsize=", "locks=", "memlock=", "msgqueue=", "nice=", "nofile=", "nproc=",
        "rss=", "rtprio=", "rttime=", "sigpending=", "stack=", no_space=True,
    ),
    "userns": words("host"), "uts": words("host"), "volume": mount_sources, "volumes-from": _ALL,
}  # fmt: skip

_PRUNE = ("label=", "label!=", "until=")
# Module of a command: the conditions of its `--filter`.
FILTERS: dict[str, tuple[str, ...]] = {
    "builder_prune": ("description=", "id=", "inuse=", "parent=", "private=", "shared=", "type=", "until="),
    "container_prune": _PRUNE,
    "events": ("container=", "event=", "image=", "label=", "network=", "scope=", "type=", "volume="),
    "image_prune": ("dangling=", *_PRUNE),
    "images": ("before=", "dangling=", "label=", "reference=", "since=", "until="),
    "network_ls": ("dangling=", "driver=", "id=", "label=", "name=", "scope=", "type="),
    "network_prune": _PRUNE,
    "ps": (
        "ancestor=", "before=", "exited=", "expose=", "health=", "id=", "isolation=", "label=", "name=",
        "network=", "publish=", "since=", "status=", "volume=",
    ),
    "search": ("is-official=", "stars="),
    "system_prune": _PRUNE,
    "volume_ls": ("dangling=", "driver=", "label=", "name="),
    "volume_prune": ("all=", "label=", "label!="),
}  # fmt: skip

_TRUTH = words("false", "true")
# Conditions whose values can be known.
_FILTER_VALUES: dict[str, Source] = {
    "all": _TRUTH, "ancestor": images, "container": _ALL, "dangling": _TRUTH, "driver": words("bridge", "local"),
    "health": words("healthy", "none", "starting", "unhealthy"), "is-official": _TRUTH, "network": networks,
    "scope": words("local"), "status": words(*_STATES), "volume": volumes,
}  # fmt: skip
# Those that depend on the command.
_OWN_VALUES: dict[tuple[str, str], Source] = {
    ("events", "image"): images, ("events", "type"): words("container", "daemon", "image", "network", "volume"),
    ("images", "before"): images, ("images", "reference"): images, ("images", "since"): images,
    ("network_ls", "name"): networks, ("network_ls", "type"): words("builtin", "custom"),
    ("ps", "before"): _ALL, ("ps", "name"): _ALL, ("ps", "since"): _ALL, ("volume_ls", "name"): volumes,
}  # fmt: skip


def filter_values(module: str, last: str, invocation: Invocation) -> Candidates:
    """Return the names of conditions, or values behind "name=" where they can be known."""
    name, separator, value = last.partition("=")
    if not separator:
        return words(*FILTERS.get(module, ()), no_space=True)
    source = _OWN_VALUES.get((module, name)) or _FILTER_VALUES.get(name)
    if source is None:
        return NOTHING
    found = source(invocation, value) if callable(source) else source
    return Candidates((f"{name}={text}", description) for text, description in found.items)
