"""Containers' logs: which drivers there are and what they take, what a shim is told to write, and reading it.

`drivers.py` (options) → `destination.py` (what the shim is told) → `reading.py` over `files.py`.
"""
