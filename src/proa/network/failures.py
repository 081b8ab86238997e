"""Where errors of the kernel's interfaces become errors of the project."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from proa.errors import KernelError


@contextmanager
def kernel_errors(operation: str = "set up the network") -> Iterator[None]:
    """Raise `KernelError` for an `OSError`; `proa.linux` puts what was tried into its `filename`."""
    try:
        yield
    except OSError as error:
        detail = error.strerror or ""
        plain = os.strerror(error.errno or 0)
        explanation = detail[len(plain) :].strip(" ()") if detail.startswith(plain) else ""
        raise KernelError(str(error.filename or operation), error.errno or 0, hint=explanation) from error
