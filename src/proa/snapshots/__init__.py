"""Layers on disk, each unpacked once, stacked by overlayfs.

The life of a layer: `Layers.prepare` gives an empty directory, `archive.unpack` fills it, `Layers.commit`
makes it a layer under its chain ID, `overlay_mount` stacks it, `Layers.remove` puts it into the trash. What
a crash leaves (prepared directories, layers that no record knows) is found by `Layers.sweep`. Which layer
belongs to which image is the engine's to remember, not ours.
"""

from proa.snapshots.layers import Layers, name_of
from proa.snapshots.overlay import Overlay, make_writable, overlay_mount
from proa.snapshots.trash import Trash

__all__ = ["Layers", "Overlay", "Trash", "make_writable", "name_of", "overlay_mount"]
