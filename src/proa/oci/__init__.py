"""The OCI specifications (and Docker's dialect of them) as pure data: no I/O, no policy.

Belongs here: references, digests, descriptors, manifests, image configurations, platforms. Does not:
anything that reads a file, a socket or the machine's state (but for `platform.default`).
"""
