"""JSON values with the offsets of their bytes: what finds the whole parts of a file that is broken.

ijson, which the reader stands on, does not tell where in the file a value ends. Python's own JSON scanner does, for a
text. The text here is the file's bytes as Latin-1, one character for each byte, so that places in it are offsets in the
file, whatever bytes it has: all that JSON gives a meaning to is ASCII, and no byte of a longer UTF-8 sequence is. Texts
in the values are therefore right where they are ASCII; `last_value` reads one again as UTF-8.
"""

import codecs
import json
import re
from decimal import Decimal, InvalidOperation
from typing import Any, BinaryIO, NoReturn

from otel_har.errors import HarFormatError
from otel_har.har.faults import MAXIMUM_DEPTH, describe

__all__ = ["BrokenError", "JsonWindow", "TooDeepError"]

_CHUNK_BYTES = 1 << 18
_BLANKS = re.compile(r"[ \t\n\r]*")
_OBJECT = re.compile(r'\{[ \t\n\r]{0,200}"')
_LONGEST_OBJECT_START = 202
# No token of JSON is longer but for strings and numbers, and a number ends where the scanner stops to understand it.
_LONGEST_TOKEN = 16
# The scanner's errors count the lines before them: where many are to be expected, little text may stand there.
_TRIED_BYTES = 4096
_BEGUN_TOKEN = re.compile(r"[-+.\\\w]*", re.ASCII)
_SHOWN_CHARACTERS = 20


class BrokenError(Exception):
    """The bytes are not JSON from here on.

    Args:
        message: What is wrong.
        offset: The byte from which on nothing is understood.
        is_end: Whether the file ends there, in the middle of the document.

    Attributes:
        is_end: As given.
        message: As given.
        offset: As given.
    """

    def __init__(self, message: str, offset: int, *, is_end: bool = False) -> None:
        super().__init__(message)
        self.message = message
        self.offset = offset
        self.is_end = is_end


class TooDeepError(BrokenError):
    """A value is nested deeper than the reader of HAR files descends.

    Args:
        offset: Where the value begins.
    """

    def __init__(self, offset: int) -> None:
        super().__init__(f"nested deeper than {MAXIMUM_DEPTH} levels", offset)


class JsonWindow:
    """Reads JSON values one after the other from a stream, with where they are.

    Memory holds a chunk, or the value that is being read if that is larger.

    Args:
        stream: The bytes, from the beginning.
        tells_text: Whether an error tells what stands there; where that may be secret, only the place.

    Attributes:
        start: Where the text begins: behind a byte order mark, if there is one.

    Raises:
        HarFormatError: The stream is empty, or UTF-16.
    """

    def __init__(self, stream: BinaryIO, *, tells_text: bool = True) -> None:
        self._stream = stream
        self._tells_text = tells_text
        # Numbers as the reader takes them: what is beyond Decimal, too, is nothing that it could read.
        self._scan = json.JSONDecoder(parse_float=Decimal, parse_constant=_refuse).raw_decode
        self._text = ""
        self._base = 0
        self._at = 0
        self._value_at = 0
        # Enough to see any byte order mark: a stream may deliver less than asked for.
        while len(self._text) < len(codecs.BOM_UTF8) and self._read_more():
            pass
        if not self._text:
            raise HarFormatError("not a HAR: there is nothing in it")
        start = self._text[: len(codecs.BOM_UTF8)].encode("latin-1")
        if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            raise HarFormatError("is UTF-16: only UTF-8 can be mended")
        self._at = self.start = len(codecs.BOM_UTF8) if start == codecs.BOM_UTF8 else 0

    @property
    def offset(self) -> int:
        """Where the next byte stands that was not taken yet."""
        return self._base + self._at

    @property
    def value_offset(self) -> int:
        """Where the value begins that `value` took last, or last tried to."""
        return self._base + self._value_at

    def peek(self) -> str:
        """Return the next character that is no blank, without taking it; empty at the end of the stream."""
        found = self._text[self._at : self._at + 1]
        while found <= " ":  # a blank, or something worse, or the end of the text
            self._at = _end(_BLANKS, self._text, self._at)
            found = self._text[self._at : self._at + 1]
            if found or not self._read_more():
                break
        return found

    def take(self, expected: str) -> str:
        """Take the next character, one of the expected ones.

        Raises:
            BrokenError: There is another one, or none.
        """
        found = self.peek()
        if not found or found not in expected:
            self._break(self._at, is_end=not found)
        self._at += 1
        return found

    def value(self, maximum_depth: int = MAXIMUM_DEPTH, maximum_bytes: int | None = None) -> Any:
        """Take the next value. Texts in it are bytes as Latin-1.

        Args:
            maximum_depth: How many levels of containers there may be inside it.
            maximum_bytes: How long it may be; None for any length.

        Raises:
            BrokenError: There is none, or not a whole one, or a too deep or too long one. A too deep one is taken.
        """
        self.peek()
        self._value_at = self._at
        value, end = self._scanned(maximum_bytes)
        openings = self._text.count("{", self._at, end) + self._text.count("[", self._at, end)
        self._at = end
        if openings > maximum_depth + 1 and _is_deeper(value, maximum_depth):
            raise TooDeepError(self.value_offset)
        return value

    def last_value(self) -> Any:
        """Return the value that was taken last with its texts as UTF-8, U+FFFD for what is none."""
        return json.loads(self.last_bytes().decode("utf-8", "replace"))

    def last_bytes(self) -> bytes:
        """Return the bytes of the value that was taken last; of one that could not be, all that is there of it."""
        end = self._at if self._at > self._value_at else len(self._text)
        return self._text[self._value_at : end].encode("latin-1")

    def seek_object(self, offset: int) -> bool:
        """Go to the next thing that could be an object, at the offset or behind it; false: there is none.

        The offset is that of a fault or of something taken since: what was taken before is forgotten.
        """
        self._at = offset - self._base
        if self._at > _TRIED_BYTES:
            self._forget()
        while True:
            found = _OBJECT.search(self._text, self._at)
            if found:
                self._at = found.start()
                return True
            self._at = max(self._at, len(self._text) - _LONGEST_OBJECT_START)
            if not self._read_more():
                return False

    def _scanned(self, maximum_bytes: int | None) -> tuple[Any, int]:
        """Return the value that begins here and where it ends, having read as much as it takes."""
        while True:
            value, end, is_all = self._parsed()
            if is_all:
                return value, end
            if maximum_bytes is not None and len(self._text) - self._at > maximum_bytes:
                raise BrokenError(f"longer than {maximum_bytes} bytes", self.offset)
            if end < len(self._text) - _LONGEST_TOKEN:
                self._break(end)
            if not self._read_more():
                self._break(end, is_end=_end(_BEGUN_TOKEN, self._text, end) == len(self._text))

    def _parsed(self) -> tuple[Any, int, bool]:
        """Return the value that begins here, where it ends, or else where it is wrong or not all there, and which."""
        try:
            value, end = self._scan(self._text, self._at)
        except json.JSONDecodeError as error:
            # The place of an unterminated string is where it begins, of everything else where it is wrong.
            return None, len(self._text) if error.msg.startswith("Unterminated string") else error.pos, False
        except RecursionError:
            raise TooDeepError(self.offset) from None
        except InvalidOperation:
            raise BrokenError("a number beyond what decimal arithmetic holds", self.offset) from None
        except ValueError as error:
            # A constant that JSON does not have, or an integer of more digits than Python converts.
            raise BrokenError(f"not JSON: {error}", self.offset) from None
        # A number at the end of the text may go on behind it.
        is_open = end == len(self._text) and isinstance(value, int | Decimal) and not isinstance(value, bool)
        return value, end, not is_open

    def _read_more(self) -> bool:
        """Read a further chunk, as large as what is there already, and forget what was taken; false at the end."""
        chunk = self._stream.read(max(_CHUNK_BYTES, len(self._text) - self._at))
        if not chunk:
            return False
        self._forget()
        self._text += chunk.decode("latin-1")
        return True

    def _forget(self) -> None:
        """Let go of the text that was taken."""
        self._text = self._text[self._at :]
        self._base += self._at
        self._value_at = max(self._value_at - self._at, 0)
        self._at = 0

    def _break(self, at: int, *, is_end: bool = False) -> NoReturn:
        """Say what is wrong at a place of the text."""
        offset = self._base + at
        if is_end:
            size = self._base + len(self._text)
            raise BrokenError(f"it ends too early, after {size} bytes", offset, is_end=True)
        if self._text.startswith("\0", at):
            raise BrokenError("there are zeros instead of text", offset)
        if not self._tells_text:
            raise BrokenError(f"not JSON, at byte {offset}", offset)
        shown = self._text[at : at + _SHOWN_CHARACTERS].partition("\0")[0]
        raise BrokenError(f"not JSON, near {describe(shown.encode('latin-1').decode('utf-8', 'replace'))}", offset)


def _refuse(name: str) -> NoReturn:
    """Python reads and writes these, JSON does not have them (RFC 8259, section 6)."""
    raise ValueError(f"there is no {name} in it")


def _end(pattern: "re.Pattern[str]", text: str, at: int) -> int:
    """Return where the match of a pattern ends that also matches nothing."""
    match = pattern.match(text, at)
    return at if match is None else match.end()


def _is_deeper(value: Any, levels: int) -> bool:
    """Whether there are more levels of containers inside a value."""
    inside = [value] if isinstance(value, dict | list) else []
    for _ in range(levels + 1):
        inside = [
            one
            for container in inside
            for one in (container.values() if isinstance(container, dict) else container)
            if isinstance(one, dict | list)
        ]
        if not inside:
            return False
    return True
