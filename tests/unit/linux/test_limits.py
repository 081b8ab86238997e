"""More open files for this process, and as before for what it executes."""

from __future__ import annotations

import os
import resource

import pytest

from proa.linux import limits

FILES = resource.RLIMIT_NOFILE


@pytest.mark.parametrize("given", [False, True], ids=["inherited", "given by the user"])
def test_a_child_gets_the_limit_of_before(given: bool) -> None:
    hard = resource.getrlimit(FILES)[1]
    pid = os.fork()
    if pid == 0:
        resource.setrlimit(FILES, (300, hard))
        limits.allow_files(200)
        seen = [resource.getrlimit(FILES)[0]]
        limits.allow_files(301)
        seen.append(resource.getrlimit(FILES)[0])
        if given:
            resource.setrlimit(FILES, (400, 400))
        limits.restore_files()
        seen.append(resource.getrlimit(FILES)[0])
        os._exit(0 if seen == [300, hard, 400 if given else 300] else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
