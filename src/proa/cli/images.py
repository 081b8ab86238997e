"""Names of images on the way to the engine, and pulling with its progress shown."""

from __future__ import annotations

import sys

from proa.errors import InvalidArgument

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TextIO

    from proa.client.client import Client
    from proa.oci.reference import Reference

_SEPARATORS = "._-"


def check_name(text: str) -> None:
    """Raise `InvalidArgument` for what cannot name an image, an identifier included.

    Plain names are told apart here; the whole grammar takes as long to import as a container takes to run.
    """
    name, _, tag = text.partition(":")
    components = [*name.split("/"), *([tag] if tag else [])]
    if len(name) < 64 and text[-1:] != ":" and all(_is_plain(component) for component in components):
        return
    from proa.oci.digest import validate
    from proa.oci.reference import Reference

    if len(text) == 64 and set(text) <= set("0123456789abcdef"):
        return
    if text.startswith("sha256:"):
        validate(text)
        return
    Reference.parse(text)


def _is_plain(component: str) -> bool:
    """Return whether this is lower-case letters and digits with single separators between them."""
    before = "."
    for character in component:
        if character in _SEPARATORS:
            if before in _SEPARATORS:
                return False
        elif not ("a" <= character <= "z" or "0" <= character <= "9"):
            return False
        before = character
    return before not in _SEPARATORS


def parse(text: str) -> Reference:
    """Return the reference of a name to pull; without tag and digest it is `latest`."""
    from proa.oci.reference import Reference

    if not text:
        raise InvalidArgument("invalid reference format")
    return Reference.parse(text)


def pull(
    client: Client, reference: Reference, platform: str, output: TextIO | None, all_tags: bool = False
) -> None:
    """Have the engine pull, with the progress on `output`, None for silence. Raises `DaemonError`."""
    from proa.client.credentials import registry_auth

    parameters = {"fromImage": reference.name}
    if not all_tags:
        parameters["tag"] = reference.digest or reference.tag or "latest"
    if platform:
        parameters["platform"] = platform
    try:
        auth = registry_auth(reference.domain)
    except InvalidArgument as error:
        sys.stderr.write(f"WARNING: {error.message}\n")  # most images need none
        auth = ""
    messages = client.stream(
        "POST", "/images/create", parameters, headers={"X-Registry-Auth": auth} if auth else {}
    )
    if output is None:
        for _ in messages:
            pass
        return
    from proa.cli.formatting.progress import show

    sys.stdout.flush()
    show(messages, output)
