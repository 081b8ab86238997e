"""`proad`: the engine as a daemon, with dockerd's options where they apply."""

from __future__ import annotations

import argparse
import asyncio
import gc
import logging
import os
import signal
import socket
import sys
from pathlib import Path
from typing import Any

import msgspec

import proa
from proa import atomic
from proa.api.hosts import open_hosts
from proa.api.server import Server
from proa.engine.containers.publish_policy import POLICIES
from proa.engine.engine import Engine
from proa.engine.logs import drivers
from proa.engine.settings import REGISTRY_CONFIG_DIRS, Settings
from proa.errors import Conflict, InvalidArgument, ProaError

CONFIG_FILE = Path("/etc/proa/daemon.json")
_LEVELS = {"debug": "DEBUG", "info": "INFO", "warn": "WARNING", "error": "ERROR", "fatal": "CRITICAL"}
_log = logging.getLogger("proad")

_BOOLEANS = {"1": True, "t": True, "true": True, "0": False, "f": False, "false": False}


def _boolean(text: str) -> bool:
    """Read the value of `--tls=false`."""
    if text.lower() not in _BOOLEANS:
        raise argparse.ArgumentTypeError(f"invalid boolean value {text!r}")
    return _BOOLEANS[text.lower()]


_FLAG: dict[str, Any] = {"nargs": "?", "const": True, "type": _boolean, "metavar": "true|false"}

# Option: key of the configuration file (dockerd's names), and how argparse takes it.
_OPTIONS: dict[str, tuple[str, dict[str, Any]]] = {
    "--tls": ("tls", {**_FLAG, "help": "encrypt TCP; implied by --tlsverify"}),
    "--tlsverify": ("tlsverify", {**_FLAG, "help": "encrypt TCP, and take no client without a certificate"}),
    "--tlscacert": ("tlscacert", {"help": "authority of the clients' certificates (default ~/.docker/ca.pem)"}),
    "--tlscert": ("tlscert", {"help": "the engine's certificate (default ~/.docker/cert.pem)"}),
    "--tlskey": ("tlskey", {"help": "the key of the engine's certificate (default ~/.docker/key.pem)"}),
    "--data-root": ("data-root", {"help": "root directory of persistent state (default /var/lib/proa)"}),
    "--exec-root": ("exec-root", {"help": "root directory of execution state (default /run/proa)"}),
    "--pidfile": ("pidfile", {"help": "file to write the process id to"}),
    "--group": ("group", {"help": "group that may use the unix socket"}),
    "--registry-mirror": ("registry-mirrors", {"action": "append", "help": "mirror of Docker Hub, a URL"}),
    "--insecure-registry": (
        "insecure-registries",
        {"action": "append", "help": "registry without TLS or with an unknown certificate: host:port or CIDR"},
    ),
    "--registry-config-dir": (
        "registry-config-dirs",
        {
            "action": "append",
            "help": "directory with HOST/hosts.toml and registries.conf (default "
            f"{', '.join(map(str, REGISTRY_CONFIG_DIRS))})",
        },
    ),
    "--http-proxy": ("http-proxy", {"help": "proxy for plain HTTP (default $HTTP_PROXY)"}),
    "--https-proxy": ("https-proxy", {"help": "proxy for HTTPS (default $HTTPS_PROXY)"}),
    "--no-proxy": ("no-proxy", {"help": "what is reached without proxy: hosts, networks (default $NO_PROXY)"}),
    "--bridge": ("bridge", {"help": "name of the default network's bridge"}),
    "--bip": ("bip", {"help": "address of the default bridge, 172.18.0.1/16"}),
    "--mtu": ("mtu", {"type": int, "help": "MTU of the default network (default: the uplink's)"}),
    "--default-address-pool": (
        "default-address-pools",
        {"action": "append", "help": "where networks' subnets come from: base=10.10.0.0/16,size=24"},
    ),
    "--ip": ("ip", {"help": "host address for ports of the default network (default: all)"}),
    "--publish-policy": (
        "publish-policy",
        {
            "choices": POLICIES,
            "help": "how packets reach published ports: direct (default), or by the rules of INPUT: host-input",
        },
    ),
    "--default-network-opt": (
        "default-network-opts",
        {"action": "append", "help": "option of new networks that do not say otherwise: driver=name=value"},
    ),
    "--dns": ("dns", {"action": "append", "help": "DNS server of containers"}),
    "--dns-search": ("dns-search", {"action": "append", "help": "DNS search domain of containers"}),
    "--dns-opt": ("dns-opts", {"action": "append", "help": "DNS option of containers"}),
    "--label": ("labels", {"action": "append", "help": "label of the engine, key=value"}),
    "--cgroup-parent": ("cgroup-parent", {"help": "parent cgroup of containers (default /proa)"}),
    "--max-concurrent-downloads": ("max-concurrent-downloads", {"type": int, "help": "of each pull"}),
    "--max-concurrent-uploads": ("max-concurrent-uploads", {"type": int, "help": "of each push"}),
    "--add-runtime": ("runtimes", {"action": "append", "help": "another OCI runtime, name=path"}),
    "--default-runtime": ("default-runtime", {"help": "runtime of containers that name none (default proa)"}),
    "--log-driver": ("log-driver", {"help": "log driver of containers that name none (default json-file)"}),
    "--log-opt": ("log-opts", {"action": "append", "help": "default log driver's option, name=value"}),
    "--log-level": ("log-level", {"choices": sorted(_LEVELS), "help": "debug, info, warn, error, fatal"}),
    "--idle-exit": (
        "idle-exit",
        {"type": float, "help": "leave after so many seconds without clients and running containers"},
    ),
}
_SETTINGS = {
    "registry-mirrors": "registry_mirrors",
    "insecure-registries": "insecure_registries",
    "registry-config-dirs": "registry_config_dirs",
    "data-root": "data_root",
    "exec-root": "exec_root",
    "dns-search": "dns_search",
    "dns-opts": "dns_options",
    "cgroup-parent": "cgroup_parent",
    "max-concurrent-downloads": "max_concurrent_downloads",
    "max-concurrent-uploads": "max_concurrent_uploads",
    "default-runtime": "default_runtime",
    "default-address-pools": "default_address_pools",
    "default-network-opts": "default_network_options",
    "publish-policy": "publish_policy",
    "log-driver": "log_driver",
    "log-opts": "log_options",
}
_PROXIES = ("http-proxy", "https-proxy", "no-proxy")  # in the file: keys of `proxies`, as dockerd has them
_PLAIN_SETTINGS = ("bridge", "bip", "mtu", "ip", "dns", "labels", "runtimes", "debug")


def main() -> None:
    """Run the daemon until SIGTERM or SIGINT; containers run on."""
    try:
        options = _options(sys.argv[1:])
        logging.basicConfig(
            level="DEBUG" if options.get("debug") else _LEVELS[options.get("log-level", "info")],
            format="%(asctime)s %(levelname)s %(name)s: %(message)s",
        )
        asyncio.run(_serve(options))
    except ProaError as error:
        print(f"proad: {error.message}", file=sys.stderr)
        if error.hint:
            print(f"proad: {error.hint}", file=sys.stderr)
        sys.exit(1)
    except OSError as error:
        print(f"proad: {error.filename or 'failed'}: {(error.strerror or str(error)).lower()}", file=sys.stderr)
        sys.exit(1)


def _options(arguments: list[str]) -> dict[str, Any]:
    """Return the configuration file's settings with the command line's over them, by dockerd's names."""
    parser = argparse.ArgumentParser(prog="proad", description="A container engine.", allow_abbrev=False)
    parser.add_argument("-H", "--host", action="append", dest="hosts", help="socket to listen on")
    parser.add_argument("-D", "--debug", action="store_true", default=None, help="log more")
    parser.add_argument("--config-file", help=f"configuration file (default {CONFIG_FILE})")
    parser.add_argument("-v", "--version", action="version", version=f"Proa version {proa.__version__}")
    for option, (key, extra) in _OPTIONS.items():
        parser.add_argument(option, dest=key, default=None, **extra)
    given = {key: value for key, value in vars(parser.parse_args(arguments)).items() if value is not None}
    path = given.pop("config_file", None)
    configured = _read_config(Path(path or CONFIG_FILE), required=path is not None)
    both = sorted(set(configured) & set(given) | set(configured.get("proxies", ())) & set(given))
    if both:
        raise InvalidArgument(
            "unable to configure the daemon: the following directives are specified both as a flag and in "
            f"the configuration file: {', '.join(both)}"
        )
    if "runtimes" in given:
        given["runtimes"] = dict(_runtime(text) for text in given["runtimes"])
    if "default-address-pools" in given:
        given["default-address-pools"] = [_pool(text) for text in given["default-address-pools"]]
    if "default-network-opts" in given:
        given["default-network-opts"] = _network_options(given["default-network-opts"])
    proxies = {key: given.pop(key) for key in _PROXIES if key in given}
    given |= {"proxies": proxies} if proxies else {}
    if "log-opts" in given:
        given["log-opts"] = dict(text.partition("=")[::2] for text in given["log-opts"])
    return configured | given


def _pool(text: str) -> dict[str, Any]:
    fields = dict(field.partition("=")[::2] for field in text.split(","))
    if set(fields) != {"base", "size"} or not fields["size"].isdecimal():
        raise InvalidArgument(
            f"invalid value for --default-address-pool: {text!r}: expected base=10.10.0.0/16,size=24"
        )
    return {"base": fields["base"], "size": int(fields["size"])}


def _network_options(given: list[str]) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    for text in given:
        driver, name, value = [*text.split("=", 2), "", ""][:3]
        if not driver or not name or text.count("=") < 2:
            raise InvalidArgument(f"invalid value for --default-network-opt: {text!r}: expected driver=name=value")
        found.setdefault(driver, {})[name] = value
    return found


def _runtime(text: str) -> tuple[str, dict[str, str]]:
    name, separator, path = text.partition("=")
    if not (name and separator and path):
        raise InvalidArgument(f"invalid value for --add-runtime: {text!r}: expected name=path")
    return name, {"path": path}


# The types of what does not go through `Settings`.
_CONFIGURED = {
    "debug": bool, "hosts": list, "log-level": str, "pidfile": str, "group": str,
    "tls": bool, "tlsverify": bool, "tlscacert": str, "tlscert": str, "tlskey": str, "proxies": dict,
}  # fmt: skip


def _read_config(path: Path, *, required: bool) -> dict[str, Any]:
    known = {key for key, _ in _OPTIONS.values()} - set(_PROXIES) | {"hosts", "debug", "proxies"}
    try:
        document = msgspec.json.decode(path.read_bytes(), type=dict[str, Any])
    except FileNotFoundError:
        if required:
            raise InvalidArgument(f"unable to configure the daemon: no file {path}") from None
        return {}
    except msgspec.DecodeError as error:
        raise InvalidArgument(f"unable to configure the daemon with file {path}: {error}") from None
    if unknown := sorted(set(document) - known):
        raise InvalidArgument(
            f"unable to configure the daemon with file {path}: the following directives don't match any "
            f"configuration option: {', '.join(unknown)}"
        )
    for key, kind in _CONFIGURED.items():
        if key in document and not isinstance(document[key], kind):
            raise InvalidArgument(
                f"unable to configure the daemon with file {path}: {key} is no {kind.__name__}: {document[key]!r}"
            )
    for key, value in document.get("proxies", {}).items():
        if key not in _PROXIES or not isinstance(value, str):
            problem = "is no string" if key in _PROXIES else f"is none of {', '.join(_PROXIES)}"
            raise InvalidArgument(f"unable to configure the daemon with file {path}: proxies: {key} {problem}")
    return document


def _use_proxies(proxies: dict[str, str]) -> None:
    """Put the proxies into the environment, where everything that goes out looks, as dockerd does."""
    for key, value in proxies.items():
        name = key.upper().replace("-", "_")
        if any(os.environ.get(known, value) != value for known in (name, name.lower())):
            _log.warning("%s of the environment is replaced by the configuration's", name)
        os.environ[name] = os.environ[name.lower()] = value


def _settings(options: dict[str, Any]) -> Settings:
    values = {name: options[key] for key, name in _SETTINGS.items() if key in options}
    values |= {name: options[name] for name in _PLAIN_SETTINGS if name in options}
    try:
        settings = msgspec.convert(values, Settings, dec_hook=lambda kind, value: kind(value))
    except (msgspec.ValidationError, TypeError) as error:
        raise InvalidArgument(f"unable to configure the daemon: {error}") from None
    try:
        drivers.validate(settings.log_driver, settings.log_options)
    except ProaError as error:
        raise InvalidArgument(f"failed to set log opts: {error.message}") from None
    for name in ("downloads", "uploads"):  # 0 stands for the default, as in dockerd
        if (most := getattr(settings, f"max_concurrent_{name}")) < 0:
            raise InvalidArgument(f"unable to configure the daemon: invalid max concurrent {name}: {most}")
        if most == 0:
            setattr(settings, f"max_concurrent_{name}", getattr(Settings(), f"max_concurrent_{name}"))
    return settings


async def _serve(options: dict[str, Any]) -> None:
    settings = _settings(options)
    _use_proxies(options.get("proxies", {}))
    settings.exec_root.mkdir(mode=0o711, parents=True, exist_ok=True)
    pidfile = _write_pidfile(Path(options.get("pidfile") or settings.exec_root / "proad.pid"))
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    try:
        listening = open_hosts(options, _default_host(settings))
        settings.notices = listening.notices
        async with Engine.open(settings) as engine:
            server = Server(engine)
            await server.serve(listening.sockets, listening.tls)
            gc.collect()
            gc.freeze()
            _notify("READY=1")
            _log.info("API listens on %s", ", ".join(listening.hosts))
            for warning in listening.warnings:
                _log.warning(warning)
            await _until(stop, engine, server, options.get("idle-exit", 0))
            _notify("STOPPING=1")
            await server.close()
    finally:
        pidfile.unlink(missing_ok=True)


def _default_host(settings: Settings) -> str:
    if os.environ.get("LISTEN_FDS"):
        return "fd://"
    return f"unix://{settings.exec_root}/proa.sock"


async def _until(stop: asyncio.Event, engine: Engine, server: Server, idle_exit: float) -> None:
    """Wait for the signal to stop, or with `idle_exit` for so many seconds without work."""
    idle_since = asyncio.get_running_loop().time()
    while not stop.is_set():
        try:
            async with asyncio.timeout(idle_exit / 4 if idle_exit else None):
                await stop.wait()
        except TimeoutError:
            now = asyncio.get_running_loop().time()
            if server.connections or any(record.active for record in engine.containers.all()):
                idle_since = now
            elif now - idle_since >= idle_exit:
                _log.info("nothing to do for %s seconds: leaving", idle_exit)
                return


def _write_pidfile(path: Path) -> Path:
    """Claim the pid file; raises `Conflict` if a process that has it is alive."""
    try:
        other = int(path.read_text())
        if Path(f"/proc/{other}/cmdline").read_bytes().find(b"proad") >= 0 and other != os.getpid():
            raise Conflict(
                f"process with PID {other} is still running", hint=f"stop it, or use another --pidfile than {path}"
            )
    except (FileNotFoundError, ProcessLookupError, ValueError):
        pass
    path.parent.mkdir(parents=True, exist_ok=True)
    atomic.write(path, str(os.getpid()).encode(), mode=0o644, durable=False)
    return path


def _notify(state: str) -> None:
    """Tell the service manager (sd_notify(3)), if there is one."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    if address.startswith("@"):
        address = "\0" + address[1:]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notifier:
        notifier.connect(address)
        notifier.send(state.encode())


if __name__ == "__main__":
    main()
