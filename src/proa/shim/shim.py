"""The shim: one small process per container that outlives the engine.

It is the parent of the container's processes, owns their streams, log and exit status, and serves every
engine that connects to its socket. Its life:

    prepared → open → create → (attach …) → start → running … → exited: exit.json written, event sent
      → clients served → gone

An ephemeral container's shim also holds the writable layer, a tmpfs that only its descriptor keeps alive;
it stays after the exit until `release`.

Next hop of `run`: `runtime/container.py`.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time

from proa import atomic
from proa.linux import mount, process
from proa.linux.loop import Loop
from proa.runtime.container import Container, Started
from proa.runtime.sandbox import Sandbox
from proa.shim import protocol
from proa.shim.client import Client
from proa.shim.logs import open_log
from proa.shim.relay import Relay
from proa.shim.server import RequestError, Server
from proa.shim.session import Session

TYPE_CHECKING = False  # importing typing costs every start milliseconds
if TYPE_CHECKING:
    from typing import Any

    from proa.shim.logs import Log

_SIGNALLED = 128
_MAX_REPLAY = 2 << 20  # bytes of log; what a client is sent waits in this process's memory
_EXIT_GRACE = 10.0  # seconds that killed processes have to end
_SHORTEST_POLL, _LONGEST_POLL = 0.01, 1.0  # seconds


class Shim:
    """State of one shim process. Requests are the `do_` methods named in OPERATIONS."""

    OPERATIONS = frozenset((
        "open", "create", "start", "attach", "exec", "resize", "kill", "pause", "resume", "update",
        "memory", "ports", "state", "processes", "stats", "release",
    ))  # fmt: skip

    def __init__(self, cgroup_parent: str) -> None:
        self.directory = ""
        self.loop = Loop()
        self.container: Container | None = None
        self.sessions: dict[str, Session] = {}
        self.started_at = 0
        self.exit: dict[str, Any] | None = None
        self.paused = False
        self._memory = -1
        self._by_pid: dict[int, Session] = {}
        self._relay = Relay(self.loop)
        self._memo: Any = None  # of the engine: what an engine that has lost it wants to know again
        self.server = Server(self.loop, self.perform, self._alone)
        self._sandbox: Sandbox | None = Sandbox(cgroup_parent=cgroup_parent)
        self._watch_children()

    def perform(self, message: dict[str, Any], descriptors: list[int]) -> Any:
        """Serve one request of an engine."""
        operation = message["op"]
        if operation not in self.OPERATIONS:
            raise RequestError(f"the shim knows no operation {operation!r}")
        return getattr(self, f"do_{operation}")(message, descriptors)

    def _alone(self) -> None:
        """The last engine went. What it did not start ends; an ephemeral layer waits for another engine."""
        started = self.exit is not None or (self.container and self.container.init)
        if not started and self._memory < 0:
            self.loop.running = False

    # --- requests ---------------------------------------------------------------------------------------

    def do_memory(self, message: dict[str, Any], descriptors: list[int]) -> str:
        """Make the tmpfs of an ephemeral container; return the path under which the host sees it."""
        if self._memory < 0:
            options: dict[str, str | None] = {"mode": "710"}
            if message.get("size"):
                options["size"] = str(message["size"])
            self._memory = mount.new_mount("tmpfs", options, mount.MOUNT_ATTR_NODEV, "proa")
        return f"/proc/{os.getpid()}/fd/{self._memory}"

    def do_open(self, message: dict[str, Any], descriptors: list[int]) -> None:
        """Belong to the container with this runtime directory; other engines can find the shim now."""
        self.directory = message["directory"]
        self.server.listen(self.directory)

    def do_create(self, message: dict[str, Any], descriptors: list[int]) -> None:
        """Take what this process must know of the specification, make the cgroup; clients can attach then."""
        if self.container:
            self.container.close()  # of an engine that did not come to the start
            self.sessions[""].close_log()
        self.sessions[""] = session = self._session("", message["stdio"])
        session.log = open_log(message["log"], self.loop, session.unblock)
        session.lossy = int((message["log"] or {}).get("lossy", 0))
        self._memo = message.get("memo")
        self.exit = None
        sandbox, self._sandbox = self._sandbox, None
        self.container = self._container(message["outline"], sandbox)
        try:
            self.container.prepare()
        except BaseException:
            self._abandon()
            raise

    def do_start(self, message: dict[str, Any], descriptors: list[int]) -> dict[str, Any]:
        """Start the process that the specification file `spec` says; return its pid and when it began."""
        container, session, path = self._created(), self.sessions[""], message["spec"]
        try:
            started = self._launch(session, lambda streams: container.start(path, streams))
        except BaseException:
            self._abandon()
            raise
        self.started_at = time.time_ns()
        return {"pid": started.pid, "started_at": self.started_at, "warnings": container.warnings}

    def do_exec(self, message: dict[str, Any], descriptors: list[int]) -> dict[str, Any]:
        """Start one more process from the specification file `spec`, with the client in `descriptors`."""
        name, path = message["exec"], message["spec"]
        try:
            container = self._running()
            if self.paused:
                raise RequestError(protocol.FROZEN)
            session = self.sessions[name] = self._session(name, message["stdio"])
            started = self._launch(session, lambda streams: container.execute(path, streams))
        except BaseException:
            self.sessions.pop(name, None)
            raise
        finally:
            os.unlink(path)
        if descriptors:  # after the start: where it fails, the engine tells the client
            session.attach(Client(self.loop, descriptors.pop(), message["client"]))
        return {"pid": started.pid}

    def do_ports(self, message: dict[str, Any], descriptors: list[int]) -> None:
        """Hold published ports until the container ends; see `Relay.serve`."""
        self._relay.serve(message, descriptors)

    def do_attach(self, message: dict[str, Any], descriptors: list[int]) -> None:
        """Attach the client whose socket came along to the container or one of its execs."""
        session = self._session_named(message.get("exec", ""))
        position = message["client"].get("logs")
        records = self._replay(session.log, position) if position and session.log else ()
        client = Client(self.loop, descriptors.pop(), message["client"])
        for stream, data in records:
            client.send(stream, data)
        if message["client"].get("stream", True):
            session.attach(client)
        else:
            client.finish()

    @staticmethod
    def _replay(log: Log, position: list[int]) -> Any:
        """Return what the log has from an inode and an offset on, the beginnings of lines last."""
        if not log.path:
            return ()
        from proa.shim import replay  # few ask for it

        rest = log.incomplete()
        files = replay.behind(log.path, *position)
        if files is None or replay.size(files) > _MAX_REPLAY:
            raise RequestError(protocol.FAR_BEHIND)
        return [*replay.records(files), *rest.items()]

    def do_resize(self, message: dict[str, Any], descriptors: list[int]) -> None:
        self._session_named(message.get("exec", "")).resize(message["rows"], message["columns"])

    def do_kill(self, message: dict[str, Any], descriptors: list[int]) -> None:
        """Signal process 1, by its pidfd: the number may belong to somebody else already; or an exec's group."""
        if "exec" in message:
            session = self._session_named(message["exec"])
            if session.exit_code is None:  # nobody else reaps it: the number is its own until then
                os.killpg(session.pid, message["signal"])
            return
        init = self._running().init
        assert init is not None
        signal.pidfd_send_signal(init.pidfd, message["signal"])

    def do_pause(self, message: dict[str, Any], descriptors: list[int]) -> None:
        self._running().cgroup.freeze()
        self.paused = True

    def do_resume(self, message: dict[str, Any], descriptors: list[int]) -> None:
        self._running().cgroup.thaw()
        self.paused = False

    def do_update(self, message: dict[str, Any], descriptors: list[int]) -> list[str]:
        return self._running().cgroup.update(message["resources"])

    def do_processes(self, message: dict[str, Any], descriptors: list[int]) -> list[int]:
        return self._running().cgroup.processes()

    def do_stats(self, message: dict[str, Any], descriptors: list[int]) -> Any:
        return self._running().cgroup.stats()

    def do_state(self, message: dict[str, Any], descriptors: list[int]) -> dict[str, Any]:
        """Everything an engine that has just started must know to adopt the container."""
        init = self.container.init if self.container else None
        return {
            "pid": init.pid if init and self.exit is None else 0,
            "started_at": self.started_at,
            "paused": self.paused,
            "exit": self.exit,
            "memory": self.do_memory(message, []) if self._memory >= 0 else "",
            "memo": self._memo,
            "execs": {
                name: {"pid": session.pid, "exit_code": session.exit_code}
                for name, session in self.sessions.items()
                if name
            },
        }

    def do_release(self, message: dict[str, Any], descriptors: list[int]) -> None:
        """End a shim that only holds an ephemeral container's layer."""
        if self.container and self.container.init and self.exit is None:
            raise RequestError("the container is running")
        self.server.unlisten(self.directory)
        self.loop.running = False

    # --- processes --------------------------------------------------------------------------------------

    @staticmethod
    def _container(outline: dict[str, Any], sandbox: Sandbox | None) -> Container:
        if "runtime" in outline:
            if sandbox:
                sandbox.discard()
            from proa.runtime.external import ExternalContainer  # few need it

            return ExternalContainer(outline)
        if outline["pids"] != "":  # else orphans are process 1's
            process.prctl(process.PR_SET_CHILD_SUBREAPER, 1)
        return Container(outline, sandbox)

    def _session(self, identifier: str, options: dict[str, Any]) -> Session:
        session = Session(self.loop, identifier, options)
        session.on_detach = lambda gone: self.server.announce({"event": "detach", "exec": gone.identifier})
        return session

    def _launch(self, session: Session, start: Any) -> Started:
        ends = session.open_streams()
        try:
            started: Started = start(ends)
        except BaseException:
            session.failed(ends)
            raise
        session.started(started, ends)
        self._by_pid[started.pid] = session
        return started

    def _abandon(self) -> None:
        """The container did not start: say no more, but let clients read what there is."""
        self._relay.close()
        self.server.unlisten(self.directory)
        container, self.container = self.container, None
        self.sessions[""].close_log()
        try:
            if container:
                container.close()
        except OSError:
            pass  # a cgroup that is somebody else's: why there was no start is what must be told
        self._end_when_served()

    def _created(self) -> Container:
        if self.container is None or self.container.init:
            raise RequestError("the container is not in the state created")
        return self.container

    def _running(self) -> Container:
        if self.container is None or self.container.init is None or self.exit is not None:
            raise RequestError("the container is not running")
        return self.container

    def _session_named(self, name: str) -> Session:
        if name not in self.sessions:
            raise RequestError(f"no process {name!r} here")
        return self.sessions[name]

    def _watch_children(self) -> None:
        reader, writer = os.pipe()
        os.set_blocking(reader, False)
        os.set_blocking(writer, False)
        signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
        process.set_signal(signal.SIGCHLD, lambda number, frame: None)
        self.loop.on_read(reader, lambda: self._reap(reader))

    def _reap(self, reader: int) -> None:
        os.read(reader, 4096)
        ended = []
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                break
            if pid == 0:
                break
            if session := self._by_pid.pop(pid, None):
                code = os.waitstatus_to_exitcode(status)
                ended.append((session, code if code >= 0 else _SIGNALLED - code))
            elif (main := self.sessions.get("")) and main.log:
                main.log.reaped(pid, status)
        # The container's own process last: its end kills the others, whose ends should be told, too.
        for session, code in sorted(ended, key=lambda item: not item[0].identifier):
            session.exited(code)
            if session.identifier:
                self._exec_exited(session, code)
            else:
                self._container_exited(session, code)

    def _exec_exited(self, session: Session, code: int) -> None:
        # Before the stream ends: clients ask for the exit code as soon as it has.
        self.server.announce({"event": "exec-exit", "exec": session.identifier, "exit_code": code})
        session.release_clients()

    def _container_exited(self, session: Session, code: int) -> None:
        assert self.container is not None
        self._relay.close()  # before the end is told: the next start wants the ports
        cgroup = self.container.cgroup
        if cgroup.processes():
            cgroup.kill(signal.SIGKILL)  # a shared pid namespace does not end with process 1
        self.exit = {
            "exit_code": code,
            "oom_killed": cgroup.oom_count() > 0,
            "started_at": self.started_at,
            "finished_at": time.time_ns(),
            "log_lost": session.close_log(),
        }
        try:
            self.container.close()
        except OSError:
            pass  # something in the cgroup does not die; the exit must be told all the same
        exit_file = f"{self.directory}/{protocol.EXIT_NAME}"
        try:
            atomic.write(exit_file, json.dumps(self.exit).encode(), durable=False)
        except FileNotFoundError:
            pass  # the engine removed the container while it ended
        if self._memory < 0:
            self.server.unlisten(self.directory)
        self.server.announce({"event": "exit", **self.exit})
        for other in self.sessions.values():
            other.release_clients()
        if self._memory < 0:
            self._end_when_served()
        else:
            self.container = None

    def _end_when_served(self) -> None:
        """Leave once every client has read the rest, however long it takes, and killed processes are reaped."""
        deadline = time.monotonic() + _EXIT_GRACE

        def check(delay: float) -> None:
            dying = self._by_pid and time.monotonic() < deadline
            if dying or any(session.clients for session in self.sessions.values()):
                self.loop.later(delay, lambda: check(min(delay * 2, _LONGEST_POLL)))
            else:
                self.loop.running = False

        check(_SHORTEST_POLL)

    def close(self) -> None:
        """Discard what was prepared for nobody."""
        if self._sandbox:
            self._sandbox.discard()
        if self.container:
            self.container.close()


def main(connection: protocol.Socket, cgroup_parent: str) -> None:
    """Be a shim for the engine at `connection`, prepared for a container with its cgroup in `cgroup_parent`."""
    shim = None
    try:
        process.set_name("proa-shim")
        shim = Shim(cgroup_parent)
        shim.server.serve(connection)
        shim.loop.run()
        shim.close()
    except BaseException:
        if shim and shim.directory:
            flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
            fd = os.open(f"{shim.directory}/shim.log", flags, 0o600)
            os.dup2(fd, 2)
        sys.excepthook(*sys.exc_info())
        os._exit(1)


__all__ = ["Shim", "main"]
