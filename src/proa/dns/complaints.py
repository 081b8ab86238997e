"""What should not happen, told to whoever reads the engine's log: this process has its standard error."""

from __future__ import annotations

import os


def complain(subject: str, error: Exception) -> None:
    """Write a line about a mistake of this program, if anybody listens."""
    trace, places = error.__traceback__, []
    while trace:
        places.append(f"{os.path.basename(trace.tb_frame.f_code.co_filename)}:{trace.tb_lineno}")
        trace = trace.tb_next
    line = f"proa-dns: {subject}: {type(error).__name__}: {error} ({' '.join(places)})\n"
    try:
        os.write(2, line.encode(errors="replace"))
    except OSError:
        pass  # the engine and its log are gone
