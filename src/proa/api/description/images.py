"""What the handlers of images and registries take and give."""

from __future__ import annotations

from proa.api.credentials import AuthConfig
from proa.api.description.operation import (
    CREATED,
    STREAM,
    TAR,
    Operation,
    filters,
    flag,
    header,
    integer,
    several,
    text,
)
from proa.api.routes.images.search import ACCEPTED as SEARCH_FILTERS
from proa.api.types.containers import Config
from proa.api.types.manifests import ListPush
from proa.engine.filters import PRUNE_FILTERS
from proa.engine.images.list import ACCEPTED

_CREDENTIALS = header("X-Registry-Auth", "Credentials: JSON in base64url")
_INSECURE = flag("insecure", "The registry may do without a known certificate, or without TLS")
_PLATFORM = text("platform", "os[/architecture[/variant]]")
_ONE_PLATFORM = several("platform", 'Once at most: {"os": "linux", "architecture": "arm64"}')
_REPOSITORY = (text("repo", "Name that the image gets"), text("tag", "Its tag"))

OPERATIONS: dict[str, Operation] = {
    "images.list:list_images": Operation(
        "List images",
        (
            flag("all", "Those without a name that others are built on, too"),
            text("filter", "A reference; before 1.41"),
            filters(ACCEPTED),
        ),
    ),
    "images.pull:create": Operation(
        "Pull an image (fromImage), or import a tar archive (fromSrc)",
        (
            text("fromImage", "What to pull"),
            text("fromSrc", '"-": the body is the archive'),
            *_REPOSITORY,
            text("message", "Comment of an imported image"),
            several("changes", "Dockerfile instructions for an imported image"),
            _PLATFORM,
            _CREDENTIALS,
        ),
        TAR,
        STREAM,
    ),
    "images.remove:prune": Operation("Remove unused images", (filters(PRUNE_FILTERS | {"dangling"}),)),
    "images.remove:remove": Operation(
        "Remove an image or one of its names",
        (
            flag("force", "Even if containers use it"),
            flag("noprune", "Keep the parents that nothing else needs"),
            several("platforms", "Not supported"),
        ),
    ),
    "images.commit:commit": Operation(
        "Make an image of a container's changes",
        (
            text("container", "Of which", required=True),
            *_REPOSITORY,
            text("comment", "Comment in the image's history"),
            text("author", "Its author"),
            flag("pause", "Freeze the container meanwhile", default=True),
            several("changes", "Dockerfile instructions"),
        ),
        Config,
        CREATED,
    ),
    "images.inspect:inspect": Operation("Tell everything of an image", (_PLATFORM,)),
    "images.inspect:history": Operation("List what an image was made of", (_PLATFORM,)),
    "images.tag:tag": Operation("Give an image another name", _REPOSITORY, answers={201: ""}),
    "distribution:auth": Operation("Check credentials with a registry", body=AuthConfig),
    "distribution:inspect": Operation("Ask a registry for an image", (_CREDENTIALS,)),
    "images.verify:verify": Operation(
        "Check that the disk holds what the digests of images say",
        (
            several("image", "These images"),
            flag("all", "All images"),
            flag("repair", "Unpack damaged layers again, and fetch damaged blobs of layers again"),
            _CREDENTIALS,
        ),
        answers=STREAM,
    ),
    "manifests:look": Operation("Ask a registry for a manifest or an index", (_INSECURE, _CREDENTIALS)),
    "manifests:digest": Operation("Ask a registry for the digest of an image, by HEAD", (_CREDENTIALS,)),
    "manifests:push": Operation(
        "Push a list of manifests, with those that are in other repositories",
        (_INSECURE, _CREDENTIALS),
        ListPush,
    ),
    "images.search:search": Operation(
        "List what a registry has under a term",
        (
            text("term", "What to look for; a registry may stand before it", required=True),
            integer("limit", "How many at most, 1 to 100; 25 unless told"),
            filters(SEARCH_FILTERS),
            _CREDENTIALS,
        ),
    ),
    "images.archives:save": Operation(
        "Write an image, or all tags of a repository, as a tar archive", (_ONE_PLATFORM,), answers={200: TAR}
    ),
    "images.archives:save_several": Operation(
        "Write images as a tar archive",
        (several("names", "Names and identifiers; a repository is all its tags"), _ONE_PLATFORM),
        answers={200: TAR},
    ),
    "images.archives:load": Operation(
        "Make the images of a tar archive",
        (_ONE_PLATFORM, flag("quiet", "Tell of no progress")),
        TAR,
        STREAM,
    ),
    "images.push:push": Operation(
        "Push an image, or without a tag all tags of a repository",
        (text("tag", "What to push"), _PLATFORM, _CREDENTIALS),
        answers=STREAM,
    ),
}
