"""Handlers, one module per noun. `endpoints.py` says which path leads where."""
