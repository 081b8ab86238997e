"""Handlers of /containers, one module per subject."""
