"""The bytes behind the text of a body: `content.text` of a response, `postData.text` of a request."""

import base64
import binascii

from otel_har.errors import HarFormatError
from otel_har.har.faults import describe

__all__ = ["body_bytes", "without_surrogates"]


def without_surrogates(text: str) -> str:
    """Return the text with surrogate pairs joined and lone surrogates replaced by U+FFFD.

    Lone surrogates come from JSON escapes (browsers cut texts between the halves of an emoji) and from Python's
    `surrogateescape`; UTF-8, and so HAR, has no way to write them.
    """
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def body_bytes(text: str, encoding: str | None) -> bytes:
    """Return the exact bytes a body text stands for: base64 decoded, or else the text as UTF-8.

    HAR 1.2 on `content.encoding`: "Encoding used for response text field e.g "base64". Leave out this field if the text
    field is HTTP decoded (decompressed & unchunked), than trans-coded from its original character set into UTF-8."

    Raises:
        HarFormatError: The text is not base64 although `encoding` says so, or the encoding is an unknown one.
    """
    if not encoding or encoding.lower() in {"utf-8", "utf8"}:
        return without_surrogates(text).encode()
    if encoding.lower() != "base64":
        raise HarFormatError(f"unknown body encoding: {describe(encoding)}, HAR readers know base64")
    try:
        # Line breaks inside are what MIME encoders write; other foreign characters mean that it is something else.
        return base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise HarFormatError(f"not base64 ({error}): {describe(text)}") from None
