"""Containers, one module per verb; `containers.py` is the table of contents, `shims.py` leads to processes."""
