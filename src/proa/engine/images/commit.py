"""`commit`: what a container changed becomes a layer, and with its configuration an image.

The configuration is the container's, as `create` completed it, under what `--change` asks for.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from proa import times
from proa.archive.layer import write_layer
from proa.content import ContentStore
from proa.engine.database import Database
from proa.engine.images import instructions, new_image
from proa.engine.images.image import Image, Layer
from proa.engine.images.images import Images
from proa.engine.images.new_layer import Out, make_layer
from proa.engine.records import Container
from proa.errors import NotFound
from proa.oci import platform
from proa.oci.image_config import ImageConfig
from proa.snapshots import Layers

_KEPT = ("architecture", "os", "variant", "os.version", "os.features")


class Committer:
    """Makes images from containers. Belongs to the event loop."""

    def __init__(self, *, images: Images, database: Database, content: ContentStore, layers: Layers) -> None:
        self._images = images
        self._database = database
        self._content = content
        self._layers = layers

    async def commit(
        self,
        container: Container,
        uppers: Sequence[Path],
        *,
        repository: str = "",
        tag: str = "",
        comment: str = "",
        author: str = "",
        changes: Sequence[str] = (),
    ) -> str:
        """Make an image of `container`, whose writable directories are `uppers` (topmost first); return its
        identifier.

        Everything that can be refused is refused before the layer is made: raises `InvalidArgument` for
        names and changes, `NotFound` for a lost layer. A container never started has none yet.
        """
        name = new_image.name_for(repository, tag)
        own = instructions.apply(changes, {}, container.options.env)
        with self._images.leases.hold(*container.layers) as lease:
            base = self._images.store.get(container.image_id)
            below = [self._record_of(chain_id) for chain_id in container.layers]
            layer = await asyncio.to_thread(self._make_layer, container, uppers, below)
            if layer is not None:
                lease.add(layer.chain_id, layer.blob_digest)
            layers = [*below, layer] if layer else below
            document = _document(container, base, [record.diff_id for record in layers])
            document["config"] = merged(own, _of_container(container, base))
            if author:
                document["author"] = author
            if comment:
                document["comment"] = comment
            document["history"] = [*(base.config.history if base else ()), _history(document, container)]
            if layer is None:
                document["history"][-1]["empty_layer"] = True
            return await new_image.record(
                self._images,
                self._database,
                self._content,
                ImageConfig(document),
                layers,
                parent=container.image_id if base else "",
                name=name,
                action="create",
            )

    def _record_of(self, chain_id: str) -> Layer:
        layer = self._images.store.layers.get(chain_id)
        if layer is None:
            raise NotFound(f"layer {chain_id} does not exist")
        return layer

    def _make_layer(self, container: Container, uppers: Sequence[Path], below: list[Layer]) -> Layer | None:
        if not uppers:
            return None
        lowers = [self._layers.root / name for name in self._layers.stack(container.layers)]

        def produce(out: Out) -> None:
            write_layer(uppers, lowers, out)

        return make_layer(self._content, self._layers, [layer.diff_id for layer in below], produce)


def merged(own: dict[str, Any], inherited: dict[str, Any]) -> dict[str, Any]:
    """Complete a configuration by another one, by Docker's rules for `commit`.

    Maps are united and variables added by name, `own` winning; an own entrypoint drops the inherited
    command; all else is taken over where `own` says nothing. What triggers builds is not inherited.
    """
    result = {name: value for name, value in {**inherited, **own}.items() if value not in (None, "")}
    for name in ("Labels", "Volumes", "ExposedPorts"):
        united = {**(inherited.get(name) or {}), **(own.get(name) or {})}
        result[name] = united or None
    variables = {entry.partition("=")[0]: entry for entry in inherited.get("Env") or ()}
    variables |= {entry.partition("=")[0]: entry for entry in own.get("Env") or ()}  # in the place of the old
    result["Env"] = list(variables.values())
    if own.get("Entrypoint"):
        result["Cmd"] = own.get("Cmd")
    else:
        result["Entrypoint"] = inherited.get("Entrypoint")
        result["Cmd"] = own.get("Cmd") or inherited.get("Cmd")
    return {name: value for name, value in sorted(result.items()) if value}


def _of_container(container: Container, base: Image | None) -> dict[str, Any]:
    """The container's configuration as that of an image."""
    options = container.options
    volumes = [mount.target for mount in options.mounts if mount.type == "volume" and not mount.source]
    return {
        "User": options.user,
        "Env": options.env,
        "Entrypoint": options.entrypoint,
        "Cmd": options.command,
        "WorkingDir": options.working_dir,
        "StopSignal": options.stop_signal,
        "Labels": options.labels,
        "ExposedPorts": {port: {} for port in options.exposed_ports},
        "Volumes": {path: {} for path in volumes},
        "Healthcheck": (base.config.healthcheck if base else {}) or None,
    }


def _document(container: Container, base: Image | None, diff_ids: list[str]) -> dict[str, Any]:
    """A new image's configuration without what the caller adds: what it runs on, when it was made."""
    known = base.config.document if base else {}
    document = {name: known[name] for name in _KEPT if name in known}
    if not document:
        own = platform.default()
        document = {"architecture": own.architecture, "os": own.os}
    document["created"] = times.format_time(times.now())
    document["rootfs"] = {"type": "layers", "diff_ids": diff_ids}
    return document


def _history(document: dict[str, Any], container: Container) -> dict[str, Any]:
    entry = {"created": document["created"], "created_by": " ".join(container.options.command or ())}
    return entry | {name: document[name] for name in ("author", "comment") if name in document}
