"""Volumes: the table of all of them (`volumes.py`), and what is behind one: a directory, a mount, a quota."""
