"""Layers as tar streams: read, check, apply to a directory in overlayfs form, compare, write, (de)compress.

Everything here treats an archive as hostile: names, links, sizes and attributes were chosen by a stranger.
Synchronous; runs in threads. Applied trees are never visible to containers before they are complete.
"""
