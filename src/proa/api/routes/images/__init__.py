"""Handlers of /images and /commit, one module per subject."""
