"""`proa stats`: what containers use, once or on a screen that is kept up to date."""

from __future__ import annotations

import sys
import threading
import time

from proa.cli.command import ANY, Command
from proa.cli.formatting.listing import Listing
from proa.cli.formatting.units import binary_size, image_size
from proa.client.wire import decode
from proa.errors import ProaError
from proa.ids import SHORT_LENGTH

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from proa.cli.command import Invocation
    from proa.client.client import Client

_FLAGS = (
    ("all", "a", "", "Show all containers, not only those that run"),
    ("format", "", "string", "How to show them ('table', 'table TEMPLATE', 'json' or a Go template)"),
    ("no-stream", "", "", "Show one look and quit"),
    ("no-trunc", "", "", "Do not cut anything off"),
)
_REFRESH = 0.5  # seconds
_FIRST = 3.0  # seconds that the first samples may take
_HOME, _END_LINE, _END_SCREEN = "\033[H", "\033[K", "\033[J"


class _Row:
    """One container: its last sample, None for none."""

    def __init__(self, container: str) -> None:
        self.container = container
        self.sample: dict[str, Any] | None = None
        self.error: ProaError | None = None
        self.answered = threading.Event()

    def follow(self, client: Client, *, once: bool) -> None:
        """Take samples, in a thread of its own, until the container is removed."""
        try:
            connection = client.connect()
            parameters = {"stream": "0" if once else "1"}
            client.send(connection, "GET", f"/containers/{self.container}/stats", parameters)
            for line in client.receive(connection).lines():
                sample = decode(line)
                # The first one of a stream has nothing to compare with, but everything else.
                self.sample = sample
                self.answered.set()
        except ProaError as error:
            self.error = error
        finally:
            if not once:
                self.sample = None
            self.answered.set()


class _Screen:
    """The rows that are shown."""

    def __init__(self, client: Client, *, once: bool) -> None:
        self.rows: dict[str, _Row] = {}
        self._client = client
        self._once = once

    def add(self, container: str) -> None:
        if container not in self.rows:
            row = self.rows[container] = _Row(container)
            _in_background(lambda: row.follow(self._client, once=self._once))

    def wait(self) -> None:
        """Wait for the first samples. Raises what the engine says about a container that was asked for."""
        deadline = time.monotonic() + _FIRST
        for row in list(self.rows.values()):
            row.answered.wait(max(0.0, deadline - time.monotonic()))
            if row.error:
                raise row.error

    def watch(self, *, all: bool) -> None:
        """Add and drop rows as containers come and go, in a thread of its own."""
        ends = "destroy" if all else "die"
        for event in self._client.stream("GET", "/events", {"filters": '{"type":["container"]}'}):
            container = event["Actor"]["ID"][:SHORT_LENGTH]
            if event["Action"] == "start" or (all and event["Action"] == "create"):
                self.add(container)
            elif event["Action"] == ends:
                self.rows.pop(container, None)


def _in_background(work: Callable[[], None]) -> None:
    def quietly() -> None:
        try:
            work()
        except ProaError:
            pass  # the engine has gone: the main thread notices at its next request, or shows dashes

    threading.Thread(target=quietly, daemon=True).start()


def cpu_percent(sample: dict[str, Any]) -> float:
    """Return the share of one processor, in percent, as docker computes it."""
    now, before = sample["cpu_stats"], sample["precpu_stats"]
    used = now["cpu_usage"]["total_usage"] - before["cpu_usage"]["total_usage"]
    passed = now.get("system_cpu_usage", 0) - before.get("system_cpu_usage", 0)
    processors = now.get("online_cpus") or len(now["cpu_usage"].get("percpu_usage") or ())
    if not before.get("system_cpu_usage") or passed <= 0 or used <= 0:
        return 0.0
    return float(used / passed * processors * 100)


def memory_used(sample: dict[str, Any]) -> int:
    """Return the bytes that can not be given back at once: without the page cache nobody uses."""
    memory = sample["memory_stats"]
    usage = int(memory.get("usage", 0))
    counters = memory.get("stats") or {}
    for name in ("total_inactive_file", "inactive_file"):  # v1, v2
        if name in counters:
            return usage - counters[name] if counters[name] < usage else usage
    return usage


def _memory_percent(sample: dict[str, Any]) -> float:
    limit = sample["memory_stats"].get("limit", 0)
    return memory_used(sample) / limit * 100 if limit else 0.0


def _network(sample: dict[str, Any]) -> str:
    interfaces = (sample.get("networks") or {}).values()
    received, sent = (sum(one[name] for one in interfaces) for name in ("rx_bytes", "tx_bytes"))
    return f"{image_size(received)} / {image_size(sent)}"


def _block(sample: dict[str, Any]) -> str:
    entries = sample["blkio_stats"].get("io_service_bytes_recursive") or []
    read, written = (
        sum(entry["value"] for entry in entries if entry["op"].lower() == operation)
        for operation in ("read", "write")
    )
    return f"{image_size(read)} / {image_size(written)}"


def _of(show: Callable[[dict[str, Any]], str], unknown: str = "--") -> Callable[[_Row], str]:
    return lambda row: show(row.sample) if row.sample else unknown


def _listing(truncate: bool) -> Listing:
    def identifier(row: _Row) -> str:
        known = str(row.sample["id"]) if row.sample else row.container
        return known[:SHORT_LENGTH] if truncate else known

    return Listing(
        "*container.statsContext",
        {
            "Container": ("CONTAINER", lambda row: row.container),
            "ID": ("CONTAINER ID", identifier),
            "Name": ("NAME", _of(lambda sample: str(sample["name"]).removeprefix("/"))),
            "CPUPerc": ("CPU %", _of(lambda sample: f"{cpu_percent(sample):.2f}%")),
            "MemUsage": ("MEM USAGE / LIMIT", _of(_memory, "-- / --")),
            "MemPerc": ("MEM %", _of(lambda sample: f"{_memory_percent(sample):.2f}%")),
            "NetIO": ("NET I/O", _of(_network)),
            "BlockIO": ("BLOCK I/O", _of(_block)),
            "PIDs": ("PIDS", _of(lambda sample: str(sample["pids_stats"].get("current", 0)))),
        },
        ("ID", "Name", "CPUPerc", "MemUsage", "MemPerc", "NetIO", "BlockIO", "PIDs"),
    )


def _memory(sample: dict[str, Any]) -> str:
    return f"{binary_size(memory_used(sample))} / {binary_size(sample['memory_stats'].get('limit', 0))}"


def _run(invocation: Invocation) -> None:
    client, once = invocation.client, invocation["no-stream"]
    screen = _Screen(client, once=once)
    names = invocation.arguments
    if not names:
        parameters = {"all": "1"} if invocation["all"] else {}
        names = [one["Id"][:SHORT_LENGTH] for one in client.get("/containers/json", **parameters)]
    for name in names:
        screen.add(name)
    if not invocation.arguments and not once:
        _in_background(lambda: screen.watch(all=invocation["all"]))
    screen.wait()
    listing = _listing(not invocation["no-trunc"])
    form = invocation["format"] or invocation.config.get("statsFormat", "")
    if once:
        invocation.print(*listing.lines(list(screen.rows.values()), form))
        return
    while True:
        _show(invocation, listing.lines(list(screen.rows.values()), form))
        time.sleep(_REFRESH)


def _show(invocation: Invocation, lines: list[str]) -> None:
    """Draw over what is there; what is no terminal gets one table after the other."""
    if sys.stdout.isatty():
        body = "".join(f"{line}{_END_LINE}\n" for line in lines)
        sys.stdout.write(f"{_HOME}{body}{_END_SCREEN}")
    else:
        invocation.print(*lines)
    invocation.flush()


COMMAND = Command(_run, "[OPTIONS] [CONTAINER...]", flags=_FLAGS, most=ANY)
