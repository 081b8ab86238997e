"""Containers run by another OCI runtime (runc, crun, runsc) through its command line, behind the same shim.

The contract is that of runc(8): `create` makes the container from a bundle and leaves its process waiting,
`start` lets it go, `exec` adds a process, `delete` removes what is left. Their processes become children of
the shim, which is a subreaper (prctl(2)). The root is mounted in a mount namespace that only `create` and
what it makes ever see.
"""

from __future__ import annotations

import json
import os
import socket

from proa import cgroups
from proa.linux import mount, namespaces, process
from proa.runtime import bundle, mounts, program, rootfs, users
from proa.runtime.container import Container
from proa.runtime.failure import SetupError, describe, step
from proa.runtime.sandbox import Started

TYPE_CHECKING = False  # importing typing costs every start milliseconds
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

_LOG = "runtime.json"
_SOCKET = "console.sock"
# What runtimes put before the reason, and the engine puts there as well.
_FRAMES = (
    "create failed: ",
    "exec failed: ",
    "unable to start container process: ",
    "error during container init: ",
)


class ExternalContainer(Container):
    """One run of a container by the program that `outline["runtime"]` names:

    command     path of the program and its own arguments
    directory   where it and this class keep their files
    """

    def __init__(self, outline: dict[str, Any]) -> None:
        super().__init__(outline, None)
        self._command: list[str] = outline["runtime"]["command"]
        self._directory: str = outline["runtime"]["directory"]
        self._bundle = f"{self._directory}/bundle"
        self._identifier: str = os.path.basename(outline["cgroup"])
        self._made = False

    def prepare(self) -> None:
        """Be ready for a bundle and for children: the cgroup is made by the runtime."""
        os.makedirs(self._bundle, mode=0o700, exist_ok=True)
        process.prctl(process.PR_SET_CHILD_SUBREAPER, 1)

    def start(self, spec_path: str, streams: tuple[int, int, int]) -> Started:
        with open(spec_path, "rb") as file:  # noqa: PTH123 - lean
            spec = json.load(file)
        terminal = bool(spec["process"].get("terminal"))

        def prepare() -> None:
            namespaces.unshare(namespaces.CLONE_NEWNS)
            mount.mount(None, "/", None, mount.MS_REC | mount.MS_SLAVE)
            self._mount_parts(spec)
            root_fd = rootfs.mount_root(spec)
            root = os.readlink(f"/proc/self/fd/{root_fd}")
            bundle.write(self._bundle, bundle.configuration(spec, root, root_fd))
            os.close(root_fd)

        self._made = True
        arguments = ["create", "--bundle", self._bundle]
        started = self._begin(arguments, [self._identifier], streams, terminal, prepare)
        self._run(["start", self._identifier])
        self.init = started
        return started

    def execute(self, spec_path: str, streams: tuple[int, int, int]) -> Started:
        assert self.init is not None
        with open(spec_path, "rb") as file:  # noqa: PTH123 - lean
            spec = json.load(file)
        root_fd = os.open(f"/proc/{self.init.pid}/root", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            identity = users.resolve(spec["proa"]["user"], spec["proa"]["groups"], root_fd)
        finally:
            os.close(root_fd)
        path = f"{self._directory}/process.json"
        bundle.write_file(path, bundle.process(spec["process"], identity))
        arguments = ["exec", "--detach", "--process", path]
        started = self._begin(arguments, [self._identifier], streams, bool(spec["process"].get("terminal")))
        os.close(started.pidfd)
        return Started(started.pid, -1, started.terminal)

    def close(self) -> None:
        if self._made:
            self._made = False
            try:
                self._run(["delete", "--force", self._identifier])
            except SetupError:
                pass  # it knows of no such container: it has failed to make it
            self.cgroup.remove()
            cgroups.remove_unified(self.cgroup.path)
        super().close()

    def _mount_parts(self, spec: dict[str, Any]) -> None:
        """Give the runtime paths of what only Proa's own can mount; they lead there in this mount namespace."""
        for number, entry in enumerate(spec.get("mounts", ())):
            if "proa" not in entry:
                continue
            with step(f'mount "{entry["source"]}" at {entry["destination"]}'):
                tree, directory = mounts.detached(entry, mounts.Options(["rbind"]))
                path = f"{self._directory}/{number}"
                try:
                    if directory:
                        os.makedirs(path, exist_ok=True)
                    else:
                        os.close(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o600))
                    target = os.open(path, os.O_PATH | os.O_CLOEXEC)
                    try:
                        mount.move_mount(tree, target)
                    finally:
                        os.close(target)
                finally:
                    os.close(tree)
            del entry["proa"]
            entry.update(type="bind", source=path)

    # --- the command line -------------------------------------------------------------------------------

    def _begin(
        self,
        arguments: list[str],
        last: list[str],
        streams: tuple[int, int, int],
        terminal: bool,
        prepare: Callable[[], None] = lambda: None,
    ) -> Started:
        """Run what leaves a process behind; return that with the master of its terminal."""
        pid_file = f"{self._directory}/pid"
        arguments = [*arguments, "--pid-file", pid_file]
        if terminal:
            master = self._run_with_terminal([*arguments, "--console-socket", _SOCKET, *last], streams, prepare)
        else:
            self._run([*arguments, *last], streams, prepare)
            master = -1
        with open(pid_file, encoding="ascii") as file:  # noqa: PTH123 - lean
            pid = int(file.read())
        os.unlink(pid_file)
        return Started(pid, os.pidfd_open(pid), master)

    def _run_with_terminal(
        self, arguments: list[str], streams: tuple[int, int, int], prepare: Callable[[], None]
    ) -> int:
        """Run what sends a terminal's master to the socket in its working directory; return that.

        Neither that path nor the one to bind is long (unix(7): 108 bytes), and no descriptor of the host's is
        left to the runtime, which may leave it to the container (CVE-2024-21626).
        """
        directory = os.open(self._bundle, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        path = f"/proc/self/fd/{directory}/{_SOCKET}"
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
            try:
                listener.bind(path)
                listener.listen(1)
                self._run(arguments, streams, prepare)
                return _receive_terminal(listener)
            finally:
                os.unlink(path)
                os.close(directory)

    def _run(
        self,
        arguments: list[str],
        streams: tuple[int, int, int] | None = None,
        prepare: Callable[[], None] = lambda: None,
    ) -> None:
        """Run the program until it ends; raises `SetupError` with the reason that it logged."""
        log = f"{self._directory}/{_LOG}"
        if os.path.exists(log):
            os.unlink(log)  # of an earlier call
        options = ["--root", f"{self._directory}/state", "--log", log, "--log-format", "json"]
        reader, writer = os.pipe()
        pid = os.fork()
        if pid == 0:
            self._become([*self._command, *options, *arguments], streams, prepare, writer)
        os.close(writer)
        with open(reader, "rb") as pipe:  # noqa: PTH123 - lean
            fault = pipe.read().decode()
        _, status = os.waitpid(pid, 0)
        if fault or status:
            raise SetupError(fault or _reason(log) or f"{self._command[0]} {arguments[0]} failed")

    def _become(
        self,
        command: list[str],
        streams: tuple[int, int, int] | None,
        prepare: Callable[[], None],
        writer: int,
    ) -> None:
        """Execute the program in the bundle's directory; what goes wrong before goes through the pipe."""
        try:
            prepare()
            null = os.open("/dev/null", os.O_RDWR)
            for number, fd in enumerate(streams or (null, null, null)):
                os.dup2(fd, number)
            process.close_all_but([writer])
            program.reset_signals()
            os.chdir(self._bundle)
            path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
            with step(f"run {command[0]}"):
                os.execve(command[0], command, {"PATH": path, "XDG_RUNTIME_DIR": "/run"})
        except BaseException as error:
            os.write(writer, describe(error)[0].encode())
        finally:
            os._exit(1)


def _receive_terminal(listener: socket.socket) -> int:
    """Take the terminal's master, which the runtime has sent before it ended."""
    listener.settimeout(10)
    connection, _ = listener.accept()
    with connection:
        data, descriptors, _, _ = socket.recv_fds(connection, 4096, 1)
    if not descriptors:
        raise SetupError(f"the runtime sent no terminal: {data[:80]!r}")
    os.set_inheritable(descriptors[0], False)
    return descriptors[0]


def _reason(log: str) -> str:
    """Return the last error in the runtime's log."""
    try:
        with open(log, encoding="utf-8", errors="replace") as file:  # noqa: PTH123 - lean
            lines = file.read().splitlines()
    except OSError:
        return ""
    for line in reversed(lines):
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if entry.get("level") in ("error", "fatal"):
            return _unframed(str(entry.get("msg", "")))
    return ""


def _unframed(message: str) -> str:
    for frame in _FRAMES:
        _, found, rest = message.partition(frame)
        message = rest if found else message
    return message


__all__ = ["ExternalContainer"]
