"""Bodies as files of their own beside a HAR, in one zip archive: how Playwright's `recordHar` keeps them (`attach`).

The rule: a body's name is its SHA-1 and the extension of its media type, and `_file` of `content` or `postData` tells
it, in the place of `text`. So equal bodies are there once. Playwright finds the HAR by its ending, `.har`.
"""

import base64
import hashlib
import mimetypes
import re
import stat
import tempfile
import time
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, BinaryIO

from otel_har.errors import HarFormatError
from otel_har.har.bodies import body_bytes

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = [
    "HAR_NAME",
    "ZIP",
    "ArchiveWriter",
    "Attachments",
    "add_file",
    "attached",
    "body_name",
    "is_body_name",
    "is_named_zip",
]

ZIP = b"PK\x03\x04"
"""How a zip archive begins that has anything in it."""

HAR_NAME = "har.har"
"""The HAR of an archive, as Playwright names it."""

_HAR_ENDING = ".har"
_CHUNK_BYTES = 1 << 16
_OLDEST = (1980, 1, 1, 0, 0, 0)  # that a zip archive can tell
_MOST_BODY_BYTES = 256 * 1024 * 1024
_BODY_NAME = re.compile(r"[0-9A-Za-z_][\w.-]{0,200}", re.ASCII)
_PLACES = (("request", "postData"), ("response", "content"))
_EXTENSIONS = mimetypes.MimeTypes()  # the table of Python alone: machines differ in theirs
_BROKEN = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, OSError)


def is_named_zip(name: str) -> bool:
    """Whether the name of a file asks for an archive."""
    return name.lower().endswith(".zip")


def body_name(body: bytes, mime_type: str) -> str:
    """The name of a body's file."""
    kind = mime_type.partition(";")[0].strip().lower()
    extension = _EXTENSIONS.guess_extension(kind) or ".dat"
    return hashlib.sha1(body, usedforsecurity=False).hexdigest() + extension


def is_body_name(name: str) -> bool:
    """Whether a file of an archive may be a body: it has a name that is safe in any directory."""
    return _BODY_NAME.fullmatch(name) is not None and not name.lower().endswith(_HAR_ENDING)


def attached(entry: Any, attach: Callable[[str, bytes], None]) -> Any:
    """An entry, as JSON has it, without its bodies; those that cannot be read and empty ones stay.

    Args:
        entry: The entry, which is not changed.
        attach: Takes each body's name and bytes.
    """
    changes = {}
    for part, member in _PLACES:
        body = _member(entry, part, member)
        text, encoding = body.get("text"), body.get("encoding")
        if not isinstance(text, str) or not text or not isinstance(encoding, str | None):
            continue
        try:
            data = body_bytes(text, encoding)
        except HarFormatError:
            continue
        name = body_name(data, str(body.get("mimeType", "")))
        attach(name, data)
        rest = {key: value for key, value in body.items() if key not in {"text", "encoding"}}
        # HAR 1.2 wants a text of `postData`; Playwright leaves it empty.
        changes[part, member] = {**rest, **({"text": ""} if member == "postData" else {}), "_file": name}
    return _changed(entry, changes)


class Attachments:
    """An archive that is read: its HAR, and the bodies of that.

    Args:
        stream: The archive; it must be one that can be sought in, and stays open.

    Raises:
        HarFormatError: It is no archive, or has no HAR.
    """

    def __init__(self, stream: BinaryIO) -> None:
        try:
            self._archive = zipfile.ZipFile(stream)
            self._names = {info.filename: info for info in self._archive.infolist()}
            name = next((name for name in self._names if name.lower().endswith(_HAR_ENDING)), None)
            if name is None:
                raise HarFormatError("not a HAR: there is none in the archive")
            self._har = self._archive.open(name)
        except _BROKEN as fault:
            raise HarFormatError(f"its zip data is broken ({fault})") from None

    @property
    def recording(self) -> str:
        """What the archive says of itself."""
        return self._archive.comment.decode("utf-8", "replace")

    def read(self, size: int, /) -> bytes:
        """The next bytes of the HAR.

        Raises:
            HarFormatError: They are broken.
        """
        try:
            return self._har.read(size)
        except _BROKEN as fault:
            raise HarFormatError(f"its zip data is broken ({fault})") from None

    def bodies(self) -> Iterator[tuple[str, Iterator[bytes]]]:
        """Each body's name, and its bytes in pieces.

        Raises:
            HarFormatError: They are broken, or one has a name that is none.
        """
        for name in self._names:
            if name == self._har.name or name.endswith("/"):
                continue
            if not is_body_name(name):
                raise HarFormatError(f"the archive has a file of a strange name: {name!r}")
            yield name, self._pieces(name)

    def inlined(self, entry: Any) -> Any:
        """An entry, as JSON has it, with its bodies, those that are there; it is not changed itself."""
        changes = {}
        for part, member in _PLACES:
            body = _member(entry, part, member)
            data = None if body.get("text") else self._body(body.get("_file"))
            if data is not None:
                rest = {key: value for key, value in body.items() if key not in {"_file", "text", "encoding"}}
                changes[part, member] = {**rest, **_text(data)}
        return _changed(entry, changes)

    def _pieces(self, name: str) -> Iterator[bytes]:
        try:
            with self._archive.open(name) as stream:
                while piece := stream.read(_CHUNK_BYTES):
                    yield piece
        except _BROKEN as fault:
            raise HarFormatError(f"its zip data is broken ({fault})") from None

    def _body(self, name: object) -> bytes | None:
        info = self._names.get(name) if isinstance(name, str) else None
        if info is None or info.file_size > _MOST_BODY_BYTES:  # no more than that is read, whatever there is
            return None
        return b"".join(self._pieces(info.filename))


class ArchiveWriter:
    """An archive that is written: a HAR, in parts, and its bodies.

    Args:
        target: Where it goes; it stays open.
    """

    def __init__(self, target: BinaryIO) -> None:
        self._archive = zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED)
        self._har = tempfile.TemporaryFile()  # noqa: SIM115 - closed at the end

    def __enter__(self) -> "Self":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        with self._har, self._archive:
            if error is None:
                self._har.seek(0)
                add_file(self._archive, HAR_NAME, iter(lambda: self._har.read(_CHUNK_BYTES), b""))

    def write(self, data: bytes, /) -> None:
        """Write a part of the HAR."""
        self._har.write(data)

    def attach(self, name: str, body: bytes) -> None:
        """Write a body, unless it is there."""
        if name not in self._archive.NameToInfo:
            add_file(self._archive, name, iter((body,)))


def add_file(archive: zipfile.ZipFile, name: str, pieces: Iterator[bytes]) -> None:
    """Write a file of an archive, which is its owner's only when it is unpacked."""
    info = zipfile.ZipInfo(name, max(time.localtime()[:6], _OLDEST))
    info.compress_type = zipfile.ZIP_DEFLATED
    info.external_attr = (stat.S_IFREG | 0o600) << 16
    with archive.open(info, "w", force_zip64=True) as target:
        for piece in pieces:
            target.write(piece)


def _text(data: bytes) -> dict[str, str]:
    try:
        return {"text": data.decode()}
    except UnicodeDecodeError:
        return {"text": base64.b64encode(data).decode(), "encoding": "base64"}


def _member(entry: Any, part: str, member: str) -> Mapping[str, Any]:
    outer = entry.get(part) if isinstance(entry, dict) else None
    inner = outer.get(member) if isinstance(outer, dict) else None
    return inner if isinstance(inner, dict) else {}


def _changed(entry: Any, changes: Mapping[tuple[str, str], Any]) -> Any:
    for (part, member), value in changes.items():
        entry = {**entry, part: {**entry[part], member: value}}
    return entry
