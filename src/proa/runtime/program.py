"""The last steps before the user's program runs: limits, identity, capabilities, seccomp, execve.

The order matters. Without no_new_privs the seccomp filter needs CAP_SYS_ADMIN, so it is loaded before
capabilities are dropped; with it, as late as possible, so that it need not allow our own calls (runc does
the same). The bounding set needs CAP_SETPCAP, so it is cut before the user changes.
"""

from __future__ import annotations

import os
import resource
import signal
import stat

from proa.linux import capabilities, limits, process, seccomp
from proa.runtime import reaper, users
from proa.runtime.failure import SetupError, step

TYPE_CHECKING = False  # importing typing costs every start milliseconds
if TYPE_CHECKING:
    from typing import Any, NoReturn

    from proa.runtime.channel import Channel

_SIGNALS, _DEFAULT = range(1, signal.NSIG), int(signal.SIG_DFL)
_EXEC_FAILED = 255


def become(spec: dict[str, Any], filter_program: bytes, channel: Channel) -> NoReturn:
    """Turn the calling process, whose signals are reset, into the program that `spec["process"]` describes.

    `filter_program` is the compiled seccomp filter, empty for none.
    """
    wanted = spec["process"]
    identity = _identity(spec)
    environment = _environment(wanted, identity)
    _set_limits(wanted.get("rlimits", ()))
    no_new_privileges = wanted.get("noNewPrivileges", False)
    if no_new_privileges:
        process.prctl(process.PR_SET_NO_NEW_PRIVS, 1)
    if filter_program and not no_new_privileges:
        _load_filter(filter_program)
    _change_directory(wanted.get("cwd", "/"), final=False)
    _assume(identity, wanted.get("capabilities"))
    _change_directory(wanted.get("cwd", "/"), final=True)
    executable = find_executable(wanted["args"][0], environment.get("PATH", ""))
    # Credentials changed, which clears it; a container must not outlive the shim that can report its end.
    process.prctl(process.PR_SET_PDEATHSIG, signal.SIGKILL)
    if filter_program and no_new_privileges:
        _load_filter(filter_program)
    os.umask(wanted.get("user", {}).get("umask", 0o022))
    process.close_range(3, flags=process.CLOSE_RANGE_CLOEXEC)
    limits.restore_files()
    if spec.get("proa", {}).get("init"):
        channel.close()
        reaper.run(executable, wanted["args"], environment)
    _execute(executable, wanted["args"], environment)


def read_filter(spec: dict[str, Any]) -> bytes:
    """Return the compiled seccomp filter that a specification names; empty for none."""
    path = spec.get("proa", {}).get("seccomp")
    if not path:
        return b""
    with step(f"read the seccomp program {path}"), open(path, "rb") as file:  # noqa: PTH123 - lean
        return file.read()


def _execute(executable: str, args: list[str], environment: dict[str, str]) -> NoReturn:
    """execve(2); a failure this late goes to the container's own stderr, as runc's does."""
    try:
        os.execve(executable, args, environment)
    except OSError as error:
        os.write(2, f"exec {executable}: {os.strerror(error.errno or 0).lower()}\n".encode())
        os._exit(_EXEC_FAILED)


def _identity(spec: dict[str, Any]) -> users.Identity:
    extra = spec.get("proa", {})
    if "user" in extra:
        return users.resolve(extra["user"], extra.get("groups", []))
    user = spec["process"].get("user", {})
    identity = users.resolve(str(user.get("uid", 0)), [])
    identity.gid, identity.groups = user.get("gid", 0), list(user.get("additionalGids", ()))
    return identity


def _environment(wanted: dict[str, Any], identity: users.Identity) -> dict[str, str]:
    environment = dict(entry.partition("=")[::2] for entry in wanted.get("env", ()))
    if not environment.get("HOME"):
        environment["HOME"] = identity.home
    return environment


def _set_limits(limits: Any) -> None:
    for limit in limits:
        name = limit["type"]
        with step(f"set rlimit {name} to {limit['soft']}:{limit['hard']}"):
            values = (_limit(limit["soft"]), _limit(limit["hard"]))
            resource.setrlimit(getattr(resource, name), values)


def _limit(value: int) -> int:
    """RLIM_INFINITY comes as 2^64-1 in the specification; Python wants -1."""
    return resource.RLIM_INFINITY if value < 0 or value >= 1 << 63 else value


def _load_filter(program: bytes) -> None:
    with step("load the seccomp filter"):
        seccomp.load(program)


def _change_directory(path: str, *, final: bool) -> None:
    """Enter the working directory: as root first, as the user where root may not (NFS root squash)."""
    try:
        os.chdir(path)
    except OSError as error:
        if final or not isinstance(error, PermissionError):
            reason = os.strerror(error.errno or 0).lower()
            message = f'chdir to cwd ("{path}") set in config.json failed: {reason}'
            raise SetupError(message, error.errno or 0) from error


def _assume(identity: users.Identity, sets: dict[str, list[str]] | None) -> None:
    with step(f"become user {identity.uid}:{identity.gid}"):
        if sets is not None:
            capabilities.drop_bounding(sets.get("bounding", ()))
        process.prctl(process.PR_SET_KEEPCAPS, 1)
        os.setgroups(identity.groups)
        os.setresgid(identity.gid, identity.gid, identity.gid)
        os.setresuid(identity.uid, identity.uid, identity.uid)
        process.prctl(process.PR_SET_KEEPCAPS, 0)
        if sets is not None:
            capabilities.apply(
                effective=sets.get("effective", ()),
                permitted=sets.get("permitted", ()),
                inheritable=sets.get("inheritable", ()),
                ambient=sets.get("ambient", ()),
            )


def reset_signals() -> None:
    """Python ignores SIGPIPE and SIGXFSZ, launchers ignore others: a program starts with the defaults."""
    for number in _SIGNALS:
        try:
            process.set_signal(number, _DEFAULT)
        except (OSError, ValueError):
            continue  # SIGKILL, SIGSTOP and the two that the C library keeps
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def find_executable(name: str, path: str) -> str:
    """Find the program as Go's exec.LookPath does; clients tell 126 from 127 by these texts."""
    if "/" in name:
        _check_executable(name)
        return name
    for directory in path.split(":"):
        candidate = f"{directory}/{name}"
        if directory.startswith("/") and _is_executable(candidate):
            return candidate
    raise SetupError(f'exec: "{name}": executable file not found in $PATH', 2)


def _is_executable(path: str) -> bool:
    try:
        regular = not stat.S_ISDIR(os.stat(path).st_mode)
    except OSError:
        return False
    return regular and os.access(path, os.X_OK, effective_ids=True)


def _check_executable(name: str) -> None:
    try:
        mode = os.stat(name).st_mode
    except OSError as error:
        reason = os.strerror(error.errno or 0).lower()
        raise SetupError(f'exec: "{name}": stat {name}: {reason}', error.errno or 0) from error
    if stat.S_ISDIR(mode):
        raise SetupError(f'exec: "{name}": is a directory', 21)
    if not os.access(name, os.X_OK, effective_ids=True):
        raise SetupError(f'exec: "{name}": permission denied', 13)
