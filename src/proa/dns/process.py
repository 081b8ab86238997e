"""The process: it answers the containers of one engine, and does what engines tell it on its sockets.

It is started with a connection to the engine as descriptor 3 and the engine's exec root as argument. Without
an engine it goes on until its last container has ended.
"""

from __future__ import annotations

import gc
import os
import resource
import signal
import sys

from proa.dns import protocol
from proa.dns.complaints import complain
from proa.dns.directory import Directory
from proa.dns.forwarder import Forwarder
from proa.dns.service import Service
from proa.linux import capabilities, packets, process
from proa.linux.loop import Loop

TYPE_CHECKING = False  # importing typing costs every start milliseconds
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

CONTROL_FD = 3
_MOST_QUESTIONS = 8192  # passed on at once, of all containers
_CONTAINERS_PER_MESSAGE = 500
_GRACE = 60.0  # seconds without an engine that a container may be without a process
# setns(2), to ask servers from where a container is; elements of the sets of egress rules.
_KEPT_CAPABILITIES = ("CAP_SYS_ADMIN", "CAP_NET_ADMIN")


class NameServer:
    """The state of the process: engines that are connected, usually one, and the containers."""

    OPERATIONS = frozenset(("hello", "put", "drop", "pid", "leave"))

    def __init__(self, directory: str, most_questions: int = _MOST_QUESTIONS) -> None:
        self.loop = Loop()
        self._path = directory
        self._directory = Directory()
        self._forwarder = Forwarder(self.loop, most_questions)
        self._home = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        self._services: dict[str, Service] = {}
        self._processes: dict[str, tuple[int, int]] = {}  # pid and pidfd of the first process
        self._engines: list[packets.Socket] = []
        self._listener = protocol.listen(directory)
        self._inode = os.stat(f"{directory}/{protocol.SOCKET_NAME}").st_ino
        self.loop.on_read(self._listener.fileno(), self._accept)

    def serve(self, engine: packets.Socket) -> None:
        """Take messages from an engine's connection."""
        engine.setblocking(False)
        self._engines.append(engine)
        self.loop.on_read(engine.fileno(), lambda: self._receive(engine))

    def close(self) -> None:
        """Close everything; the socket's name goes unless another has taken it."""
        for identifier in list(self._services):
            self._drop(identifier)
        for engine in self._engines:
            engine.close()
        self._listener.close()
        path = f"{self._path}/{protocol.SOCKET_NAME}"
        try:
            if os.stat(path).st_ino == self._inode:
                os.unlink(path)
        except FileNotFoundError:
            pass
        os.close(self._home)
        self.loop.close()

    def _accept(self) -> None:
        try:
            engine = packets.accept(self._listener)
        except (BlockingIOError, ConnectionError):
            return
        self.serve(engine)

    def _receive(self, engine: packets.Socket) -> None:
        try:
            message, descriptors = packets.receive(engine)
        except BlockingIOError:
            return
        except ConnectionError:
            message, descriptors = None, []
        if message is not None and message["op"] in self.OPERATIONS:
            self._perform(engine, message, descriptors)
            return
        packets.close_all(descriptors)
        self.loop.forget(engine.fileno())
        engine.close()
        self._engines.remove(engine)
        self._leave_if_done()

    def _perform(self, engine: packets.Socket, message: dict[str, Any], descriptors: Sequence[int]) -> None:
        try:
            getattr(self, f"_do_{message['op']}")(engine, message, descriptors)
        except Exception as error:  # of this program; what is wrong with one container shall not harm the others
            complain(f"{message['op']} of container {message.get('id')}", error)
            self._drop(message.get("id", ""))

    # --- what an engine may say -------------------------------------------------------------------------

    def _do_hello(self, engine: packets.Socket, _message: dict[str, Any], _descriptors: Sequence[int]) -> None:
        known = [identifier for identifier, service in self._services.items() if service.listens]
        while True:
            part, known = known[:_CONTAINERS_PER_MESSAGE], known[_CONTAINERS_PER_MESSAGE:]
            containers = {identifier: self._processes.get(identifier, (0, 0))[0] for identifier in part}
            answer = {"version": protocol.VERSION, "containers": containers, "more": bool(known)}
            try:
                packets.send(engine, answer)
            except OSError:
                return  # it is gone, or reads nothing: both it notices itself
            if not known:
                return

    def _do_put(self, _engine: packets.Socket, message: dict[str, Any], descriptors: Sequence[int]) -> None:
        identifier = message["id"]
        service = self._services.get(identifier)
        if service is None:
            service = Service(
                self.loop,
                self._directory,
                self._forwarder,
                self._home,
                lambda what: self._report(identifier, what),
            )
            self._services[identifier] = service
        service.update(message["container"], descriptors)

    def _do_drop(self, _engine: packets.Socket, message: dict[str, Any], _descriptors: Sequence[int]) -> None:
        self._drop(message["id"])

    def _do_pid(self, _engine: packets.Socket, message: dict[str, Any], _descriptors: Sequence[int]) -> None:
        identifier, pid = message["id"], message["pid"]
        self._forget_process(identifier)
        if identifier not in self._services:
            return
        try:
            pidfd = os.pidfd_open(pid)
        except OSError:  # it has ended already
            self._drop(identifier)
            return
        self._processes[identifier] = pid, pidfd
        self.loop.on_read(pidfd, lambda: self._ended(identifier))

    def _do_leave(self, _engine: packets.Socket, _message: dict[str, Any], _descriptors: Sequence[int]) -> None:
        self.loop.running = False

    def _report(self, identifier: str, what: dict[str, Any]) -> bool:
        """Tell the engines what a container's egress rules have refused; False if none has taken it."""
        taken = False
        for engine in self._engines:
            try:
                packets.send(engine, {"op": "refused", "id": identifier, **what})
            except OSError:  # it is gone, or has much to read
                continue
            taken = True
        return taken

    # --- containers -------------------------------------------------------------------------------------

    def _ended(self, identifier: str) -> None:
        self._drop(identifier)
        self._leave_if_done()

    def _drop(self, identifier: str) -> None:
        self._forget_process(identifier)
        if service := self._services.pop(identifier, None):
            service.close()

    def _forget_process(self, identifier: str) -> None:
        if known := self._processes.pop(identifier, None):
            self.loop.forget(known[1])
            os.close(known[1])

    def _leave_if_done(self) -> None:
        if self._engines:
            return
        if not self._services:
            self.loop.running = False
        elif self._services.keys() - self._processes.keys():
            self.loop.later(_GRACE, self._drop_unstarted)

    def _drop_unstarted(self) -> None:
        """Forget containers whose start the engine was killed in; one that runs is told of by the next engine."""
        if not self._engines:
            for identifier in self._services.keys() - self._processes.keys():
                self._drop(identifier)
            self._leave_if_done()


def main() -> None:
    """Serve until the last container is gone and no engine is there, or one says so."""
    process.set_name("proa-dns")
    os.setsid()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    for number in (32, 33):
        process.default_signal(number)
    os.chdir("/")
    os.umask(0o077)  # who may connect to the socket may change what names mean
    os.environ.clear()
    process.close_range(CONTROL_FD + 1)
    os.set_inheritable(CONTROL_FD, False)
    process.prctl(process.PR_SET_NO_NEW_PRIVS, 1)
    kept = capabilities.mask(_KEPT_CAPABILITIES) & capabilities.get()[1]
    capabilities.set_(kept, kept, 0)
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    server = NameServer(sys.argv[2], min(_MOST_QUESTIONS, most // 2))
    server.serve(packets.adopt(CONTROL_FD))
    gc.collect()
    gc.freeze()
    try:
        server.loop.run()
    finally:
        server.close()


if __name__ == "__main__":
    main()
