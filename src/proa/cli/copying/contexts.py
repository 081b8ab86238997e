"""Contexts as archives: meta.json and tls/docker/*.pem, in docker's layout."""

from __future__ import annotations

import io
import json
import tarfile

from proa.client.contexts import ENDPOINT, TLS_FILES, Context
from proa.errors import InvalidArgument

_META = "meta.json"
_TLS = f"tls/{ENDPOINT}"
LARGEST = 10 << 20  # bytes; docker's own limit
_ZIP = b"PK\x03\x04"


def packed(context: Context) -> bytes:
    """Return a tar archive of all there is of a context, its key included."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        _add(archive, _META, json.dumps(context.document, separators=(",", ":")).encode(), 0o644)
        _add(archive, "tls", None, 0o700)
        if context.tls:
            _add(archive, _TLS, None, 0o700)
        for name, data in sorted(context.tls.items()):
            _add(archive, f"{_TLS}/{name}", data, 0o600)
    return buffer.getvalue()


def _add(archive: tarfile.TarFile, name: str, data: bytes | None, mode: int) -> None:
    entry = tarfile.TarInfo(name)
    entry.mode = mode
    if data is None:
        entry.type = tarfile.DIRTYPE
    else:
        entry.size = len(data)
    archive.addfile(entry, io.BytesIO(data or b""))


def unpacked(data: bytes, name: str) -> Context:
    """Return the context in an archive under its new name. Raises `InvalidArgument`; nothing is written."""
    if len(data) < tarfile.BLOCKSIZE and not data.startswith(_ZIP):
        raise InvalidArgument("unexpected EOF")
    files = _zip_files(data) if data.startswith(_ZIP) else _tar_files(data)
    if _META not in files:
        raise InvalidArgument("invalid context: no metadata found")
    try:
        document = json.loads(files.pop(_META))
        endpoint = dict(document["Endpoints"][ENDPOINT])
        metadata = dict(document.get("Metadata") or {})
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InvalidArgument(f"invalid context: {_META} cannot be read: {error}") from None
    known = {f"{_TLS}/{each}": each for each in TLS_FILES}
    for path in files:
        if path not in known:
            raise InvalidArgument(f"invalid context: unexpected file {path}")
    return Context(name, metadata, endpoint, {known[path]: content for path, content in files.items()})


def _tar_files(data: bytes) -> dict[str, bytes]:
    files = {}
    # docker's client leaves its archives open-ended, right behind the last file's last byte.
    ended = data + bytes(-len(data) % tarfile.BLOCKSIZE + 2 * tarfile.BLOCKSIZE)
    try:
        with tarfile.open(fileobj=io.BytesIO(ended), mode="r:") as archive:
            for entry in archive:
                if entry.isdir():
                    continue
                content = archive.extractfile(entry) if entry.isreg() else None
                if entry.offset_data + entry.size > len(data):
                    raise InvalidArgument("unexpected EOF")
                if content is None:
                    raise InvalidArgument(f"invalid context: {entry.name} is not a regular file")
                files[entry.name] = content.read()
            if any(data[archive.offset :]):
                raise InvalidArgument("archive/tar: invalid tar header")
    except (tarfile.TarError, EOFError):
        raise InvalidArgument("archive/tar: invalid tar header") from None
    return files


def _zip_files(data: bytes) -> dict[str, bytes]:
    import zipfile

    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            entries = [entry for entry in archive.infolist() if not entry.is_dir()]
            if sum(entry.file_size for entry in entries) > LARGEST:
                raise InvalidArgument("invalid context: its files are too large")
            return {entry.filename: archive.read(entry) for entry in entries}
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError) as error:
        raise InvalidArgument(f"zip: not a valid zip file: {error}") from None
