"""How fast Proa is, beside Docker, Podman and runc where they are. `make bench`, or `python -m bench --help`.

Paired and interleaved: in each round every engine does the same work once, in changing order, after
0.2 s of idleness (a busy loop hides what waking up costs). Medians and ratios of the same rounds are
shown; single numbers from different moments of a machine say little.
"""

import sys
from pathlib import Path

# The registry, images and engines are the tests' own.
sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
