"""Identifiers of containers, execs and networks: 256 random bits in hexadecimal, as Docker's."""

from __future__ import annotations

import os

FULL_LENGTH = 64
SHORT_LENGTH = 12


def new_id() -> str:
    """Return a new 64-digit identifier whose short form is not a decimal number.

    A host name made of digits only confuses resolvers, so such identifiers are drawn again (moby/moby#3869).
    """
    while True:
        identifier = os.urandom(32).hex()
        if not identifier[:SHORT_LENGTH].isdecimal():
            return identifier


def short(identifier: str) -> str:
    """Return what users see of an identifier or digest: 12 digits, without the algorithm."""
    return identifier.rpartition(":")[2][:SHORT_LENGTH]
