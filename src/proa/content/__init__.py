"""Content-addressed blobs: ingest -> verify -> commit.

A blob is visible only after its bytes were verified against its digest, so whoever finds one may trust it.
What belongs here: files named by digests. What does not: what they mean (oci), who needs them (engine).
"""

from proa.content.ingest import Ingest, SizeMismatch, VerificationFailed
from proa.content.store import ContentStore

__all__ = ["ContentStore", "Ingest", "SizeMismatch", "VerificationFailed"]
