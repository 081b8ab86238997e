"""`commit`: a container's part in it. It stands still meanwhile; `engine/images/commit.py` makes the image."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from typing import TYPE_CHECKING

from proa.engine.containers import sealing
from proa.engine.images import new_image
from proa.engine.records import Container, Status
from proa.errors import Conflict

if TYPE_CHECKING:
    from proa.engine.containers.containers import Containers

_GOING = {Status.DEAD: "Dead", Status.REMOVING: "being removed"}


async def commit(
    containers: Containers,
    record: Container,
    *,
    repository: str = "",
    tag: str = "",
    comment: str = "",
    author: str = "",
    pause: bool = True,
    changes: Sequence[str] = (),
) -> str:
    """Make an image of what the container changed and return its identifier.

    A running container is frozen meanwhile unless `pause` is false. Raises `Conflict` for one that is being
    removed, `InvalidArgument` for a bad name or change.
    """
    if record.state.status in _GOING:
        raise Conflict(f"You cannot commit container {record.id} which is {_GOING[record.state.status]}")
    async with containers.holds.hold(record) if pause else nullcontext(), containers.steady.use(record):
        try:
            image_id = await containers.committer.commit(
                record,
                sealing.directories(containers, record),
                repository=repository,
                tag=tag,
                comment=comment,
                author=author,
                changes=changes,
            )
        except FileNotFoundError:
            containers.get(record.id)  # it may have been removed meanwhile
            raise
        name = new_image.name_for(repository, tag)
        reference = name.familiar if name else ""
        containers.emit("commit", record, comment=comment, imageID=image_id, imageRef=reference)
        return image_id
