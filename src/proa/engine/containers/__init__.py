"""Containers, one module per verb; `containers.py` is the table of contents, `shims.py` the way to processes."""
