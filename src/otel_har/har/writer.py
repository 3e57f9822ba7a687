"""How a HAR document is laid out so that entries can be added at its end and it is complete each time.

The rule: head, entries, tail. Entries are only ever added. Pages stand in the tail, which is written anew after them,
because a page's duration is known last; the order of members in a JSON object means nothing (RFC 8259, 4).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from otel_har.har.models import Browser, Creator, Page


class HarLayout:
    """The bytes of a growing HAR document. Holds nothing of what it laid out.

    Without an indent each entry is a line of its own.

    Args:
        creator: HAR's `creator`.
        browser: HAR's `browser`; some readers fail without it.
        indent: Spaces for each level; None for the compact form.

    Attributes:
        indent: As given.
    """

    def __init__(self, creator: Creator, browser: Browser, indent: int | None = None) -> None:
        self._creator = creator
        self._browser = browser
        self.indent = indent

    def head(self, others: Mapping[str, Any] | None = None, beside: Mapping[str, Any] | None = None) -> bytes:
        """Everything before the first entry.

        Args:
            others: Members of `log` to put there as well, or instead of those that this class would.
            beside: Members of the document, beside `log`.
        """
        members = {
            "version": "1.2",
            "creator": self._creator.model_dump(mode="json"),
            "browser": self._browser.model_dump(mode="json"),
        } | dict(others or {})
        log = json.dumps(
            {**(beside or {}), "log": members}, ensure_ascii=False, indent=self.indent, separators=self._separators()
        ).encode("utf-8", "replace")
        body = log[: log.rindex(b"}", 0, log.rindex(b"}"))].rstrip()
        return body + b"," + self._line(2) + b'"entries":' + self._gap() + b"["

    def entries(self, entries: Iterable[bytes], *, first: bool) -> bytes:
        """Entries, as they are written with this layout's `indent`, to add after the head (`first`) or after others."""
        parts = []
        for entry in entries:
            parts.append((b"" if first else b",") + self._nested(entry, 3))
            first = False
        return b"".join(parts)

    def tail(self, pages: Iterable[Page], members: Mapping[str, Any] | None = None) -> bytes:
        """Everything after the last entry.

        Args:
            pages: The pages.
            members: Further members of `log`, after them; one whose value is None is left out.
        """
        laid_out = b",".join(self._nested(page.to_json(self.indent), 3) for page in pages)
        closing = self._line(2) if laid_out else b""
        parts = [self._line(2) + b"]", self._member("pages") + b"[" + laid_out + closing + b"]"]
        for name, value in (members or {}).items():
            if value is not None:
                text = json.dumps(value, ensure_ascii=False, indent=self.indent, separators=self._separators())
                parts.append(self._member(name) + text.encode().replace(b"\n", self._line(2)))
        end = (self._line(1) + b"}" + self._line(0) + b"}\n") if self.indent is not None else b"}}\n"
        return b"".join((*parts, end))

    def _member(self, name: str) -> bytes:
        """The name of one more member of `log`."""
        return b"," + self._line(2) + b'"' + name.encode() + b'":' + self._gap()

    def _nested(self, document: bytes, level: int) -> bytes:
        """A value laid out on its own, moved to its level: JSON strings hold no raw line ends."""
        line = self._line(level)
        return line + (document if self.indent is None else document.replace(b"\n", line))

    def _line(self, level: int) -> bytes:
        return b"\n" if self.indent is None else b"\n" + b" " * (self.indent * level)

    def _gap(self) -> bytes:
        return b"" if self.indent is None else b" "

    def _separators(self) -> tuple[str, str]:
        return (",", ":") if self.indent is None else (",", ": ")
