"""Mounts of a create body: Binds (`-v`), Mounts (`--mount`), Tmpfs (`--tmpfs`), Volumes (anonymous)."""

from __future__ import annotations

import posixpath

from proa import wording
from proa.api.types import host_config as wire
from proa.api.types.containers import CreateBody
from proa.engine.options import Mount
from proa.errors import InvalidArgument, Unsupported

_PROPAGATIONS = ("rprivate", "rslave", "rshared", "private", "slave", "shared")
_ACCESS = ("ro", "rw", "readonly")
_LABELS = ("z", "Z")  # for SELinux: nothing to do where it is not enabled
_CONSISTENCIES = ("consistent", "cached", "delegated")  # for Docker Desktop


def mounts(body: CreateBody) -> list[Mount]:
    """Return all mounts asked for. Raises `InvalidArgument` in Docker's words."""
    host = body.host_config
    found = [bind(text, host.volume_driver) for text in host.binds or ()]
    found += [_mount(mount) for mount in host.mounts or ()]
    found += [_tmpfs(target, options) for target, options in (host.tmpfs or {}).items()]
    targets = set()
    for mount in found:
        target = posixpath.normpath(mount.target)
        if target in targets:
            raise InvalidArgument(f"Duplicate mount point: {target}")
        targets.add(target)
    for target in body.volumes or ():
        anonymous = bind(target, host.volume_driver)
        if anonymous.source:
            raise InvalidArgument(f"invalid volume specification: '{target}'")
        if posixpath.normpath(anonymous.target) not in targets:
            found.append(anonymous)
    return found


def warnings(host: wire.HostConfig) -> list[str]:
    """Say what of the body has no effect."""
    made = (each.volume_options for each in host.mounts or () if each.type == "volume")
    ignored = host.volume_driver and any(not (options and options.driver_config) for options in made)
    return [wording.DRIVER_IGNORED] if ignored else []


def bind(text: str, driver: str = "") -> Mount:
    """Read "source:target:mode", "source:target" or "target"."""
    parts = text.split(":")
    if len(parts) > 3 or not all(parts):
        raise InvalidArgument(f"invalid volume specification: '{text}'")
    mode = parts[2] if len(parts) == 3 else ""
    if len(parts) == 1:
        source, target = "", parts[0]
    else:
        source, target = parts[:2]
        if len(parts) == 2 and not target.startswith("/") and _is_mode(target):
            raise InvalidArgument(
                f"invalid volume specification: '{text}': a volume without a name can not have a mode"
            )
    kind = "bind" if source.startswith("/") else "volume"
    _check_target(target, kind, f"invalid volume specification: '{text}': ")
    words = [word for word in mode.split(",") if word]
    if not _is_mode(mode):
        raise InvalidArgument(f"invalid mode: {mode}")
    if source and kind == "volume" and source.startswith((".", "~")):
        raise InvalidArgument(
            f'create {source}: "{source}" includes invalid characters for a local volume name, only '
            '"[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed. If you intended to pass a host directory, '
            "use absolute path"
        )
    specification = f"invalid volume specification: '{text}': invalid mount config for type \"{kind}\": field"
    if kind == "bind" and "nocopy" in words:
        raise InvalidArgument(f"{specification} VolumeOptions must not be specified")
    if kind == "volume" and set(words) & set(_PROPAGATIONS):
        raise InvalidArgument(f"{specification} BindOptions must not be specified")
    return Mount(
        type="bind" if kind == "bind" else "volume",
        target=target,
        source=source,
        mode=mode or ("z" if kind == "volume" and source else ""),  # what Docker does for SELinux
        read_only=bool({"ro", "readonly"} & set(words)),
        propagation=next((word for word in words if word in _PROPAGATIONS), ""),
        create_source=bool(source),
        no_copy="nocopy" in words,
        driver=driver if kind == "volume" else "",
    )


def _is_mode(mode: str) -> bool:
    """Whether a mode has known words only, and at most one of each kind."""
    words = mode.split(",") if mode else []
    kinds = (_ACCESS, _PROPAGATIONS, _LABELS, _CONSISTENCIES, ("nocopy",))
    counts = [sum(word in kind for word in words) for kind in kinds]
    return all(count <= 1 for count in counts) and sum(counts) == len(words)


def _check_target(target: str, kind: str, prefix: str = "") -> None:
    where = f'{prefix}invalid mount config for type "{kind}": '
    if not target:
        raise InvalidArgument(f"{where}field Target must not be empty")
    if posixpath.normpath(target).lstrip("/") == "" and target.startswith("/"):
        raise InvalidArgument(f"{where}invalid specification: destination can't be '/'")
    if not target.startswith("/"):
        raise InvalidArgument(f"{where}invalid mount path: '{target}' mount path must be absolute")


def _mount(mount: wire.Mount) -> Mount:
    if mount.type in ("npipe", "cluster"):
        raise Unsupported(f'mounts of type "{mount.type}" are not supported')
    if mount.type not in ("bind", "volume", "tmpfs", "image"):
        raise InvalidArgument(f'invalid mount config for type "{mount.type}": mount type unknown')
    for name, given in (
        ("bind", mount.bind_options),
        ("volume", mount.volume_options),
        ("tmpfs", mount.tmpfs_options),
        ("image", mount.image_options),
    ):
        if given is not None and name != mount.type:
            raise InvalidArgument(
                f'invalid mount config for type "{mount.type}": '
                f"field {name.capitalize()}Options must not be specified"
            )
    _check_target(mount.target, mount.type)
    if mount.type == "bind":
        return _bind_mount(mount)
    if mount.type == "tmpfs":
        return _tmpfs_mount(mount)
    if mount.type == "image":
        return _image_mount(mount)
    return _volume_mount(mount)


def _bind_mount(mount: wire.Mount) -> Mount:
    options = mount.bind_options or wire.BindOptions()
    where = 'invalid mount config for type "bind": '
    if not mount.source:
        raise InvalidArgument(f"{where}field Source must not be empty")
    if not mount.source.startswith("/"):
        raise InvalidArgument(f"{where}invalid mount path: '{mount.source}' mount path must be absolute")
    if options.propagation and options.propagation not in _PROPAGATIONS:
        raise InvalidArgument(f"{where}invalid propagation mode: {options.propagation}")
    if options.read_only_non_recursive and options.read_only_force_recursive:
        raise InvalidArgument(f"{where}mount options conflict: ReadOnlyNonRecursive and ReadOnlyForceRecursive")
    if not mount.read_only:
        for name in ("read_only_non_recursive", "read_only_force_recursive"):
            if getattr(options, name):
                field = "".join(word.capitalize() for word in name.split("_"))
                raise InvalidArgument(f"{where}mount options conflict: !ReadOnly && BindOptions.{field}")
    return Mount(
        type="bind",
        target=mount.target,
        source=mount.source,
        read_only=mount.read_only,
        propagation=options.propagation,
        create_source=options.create_mountpoint,
        non_recursive=options.non_recursive,
        read_only_non_recursive=options.read_only_non_recursive,
        read_only_force_recursive=options.read_only_force_recursive,
    )


def _volume_mount(mount: wire.Mount) -> Mount:
    options = mount.volume_options or wire.VolumeOptions()
    driver = options.driver_config or wire.VolumeDriver()
    if options.subpath and not mount.source:
        raise InvalidArgument(
            'invalid mount config for type "volume": must not set Subpath when using anonymous volumes'
        )
    return Mount(
        type="volume",
        target=mount.target,
        source=mount.source,
        mode="z",  # what Docker does for SELinux
        read_only=mount.read_only,
        no_copy=options.no_copy,
        subpath=_subpath(options.subpath, "volume"),
        labels=options.labels,
        driver=driver.name,
        driver_options=driver.options,
    )


def _image_mount(mount: wire.Mount) -> Mount:
    options = mount.image_options or wire.ImageOptions()
    if not mount.source:
        raise InvalidArgument('invalid mount config for type "image": field Source must not be empty')
    return Mount(
        type="image",
        target=mount.target,
        source=mount.source,
        read_only=True,
        subpath=_subpath(options.subpath, "image"),
    )


def _subpath(path: str, kind: str) -> str:
    """Go's filepath.IsLocal: by its words alone, the path must stay where it begins."""
    if path and (path.startswith("/") or posixpath.normpath(path).split("/")[0] == ".."):
        raise InvalidArgument(
            f'invalid mount config for type "{kind}": subpath must be a relative path within the volume'
        )
    return path


def _tmpfs_mount(mount: wire.Mount) -> Mount:
    options = mount.tmpfs_options or wire.TmpfsOptions()
    if mount.source:
        raise InvalidArgument('invalid mount config for type "tmpfs": field Source must not be specified')
    if options.size_bytes < 0:
        raise InvalidArgument('invalid mount config for type "tmpfs": size must not be negative')
    return Mount(
        type="tmpfs",
        target=mount.target,
        read_only=mount.read_only,
        tmpfs_size=options.size_bytes,
        tmpfs_mode=options.mode & 0o7777 or 0o1777,
        tmpfs_options=",".join("=".join(words) for words in options.options),
    )


def _tmpfs(target: str, options: str) -> Mount:
    _check_target(target, "tmpfs")
    return Mount(type="tmpfs", target=target, tmpfs_options=options)
