"""`tag`: one more name for an image, or a name taken from another one."""

from __future__ import annotations

from proa.engine.images.store import ImageStore
from proa.errors import InvalidArgument
from proa.oci.reference import Reference


def target(text: str) -> Reference:
    """Parse the name that an image shall have. Raises `InvalidArgument` for what can be none."""
    reference = Reference.parse(text)
    if reference.digest:
        raise InvalidArgument("refusing to create a tag with a digest reference")
    if reference.familiar_name == "sha256":
        # sha256:abc could be meant as the beginning of an identifier.
        raise InvalidArgument("refusing to create an ambiguous tag using digest algorithm as name")
    return reference


def tag(store: ImageStore, source: str, name: str) -> tuple[str, Reference]:
    """Give the image `source` the name `name`; return its identifier and the name in full."""
    reference = target(name)
    image_id = store.find(source)
    store.tag(reference, image_id)
    return image_id, reference
