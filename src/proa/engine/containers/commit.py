"""`commit`: a container's part in it. It stands still meanwhile; `engine/images/commit.py` makes the image."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from proa.engine.containers import stop
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
    frozen = pause and record.state.status == Status.RUNNING and await _hold(containers, record)
    try:
        image_id = await containers.committer.commit(
            record,
            containers.directory(record) / "upper",
            repository=repository,
            tag=tag,
            comment=comment,
            author=author,
            changes=changes,
        )
        name = new_image.name_for(repository, tag)
        reference = name.familiar if name else ""
        containers.emit("commit", record, comment=comment, imageID=image_id, imageRef=reference)
        return image_id
    finally:
        if frozen and record.state.status == Status.RUNNING:  # it may have been killed or paused meanwhile
            await stop.let_go(containers, record)
            containers.emit("unpause", record)


async def _hold(containers: Containers, record: Container) -> bool:
    """Freeze the container; return whether it still ran."""
    try:
        await stop.hold(containers, record)
    except Conflict:
        if record.running:
            raise
        return False
    containers.emit("pause", record)
    return True
