"""Secrets that a test makes, and the exchanges in which it plants them."""

from __future__ import annotations

import base64
import hashlib
import json
import string
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from servers.canned import CANNED, Canned

if TYPE_CHECKING:
    from pathlib import Path

    from servers.server import RecordingServer

_ALPHABET = string.ascii_letters + string.digits
FORM = "application/x-www-form-urlencoded"
JSON = "application/json"
TEXT = "text/plain; charset=utf-8"
BOUNDARY = "boundary-of-the-parts"


def random_text(place: str, length: int = 24, alphabet: str = _ALPHABET) -> str:
    """A text that looks random and belongs to one place, the same in each run: what a test finds can be found again."""
    number = int.from_bytes(hashlib.shake_256(place.encode()).digest(2 * length), "big")
    letters = []
    for _ in range(length):
        number, index = divmod(number, len(alphabet))
        letters.append(alphabet[index])
    return "".join(letters)


def base64_of(text: str) -> str:
    """A text in base64."""
    return base64.b64encode(text.encode()).decode()


def multipart(*parts: tuple[str, str]) -> bytes:
    """A body of parts, each the rest of its `Content-Disposition` and further fields, and its content."""
    written = [
        f"--{BOUNDARY}\r\nContent-Disposition: form-data; {head}\r\n\r\n{content}\r\n" for head, content in parts
    ]
    return "".join((*written, f"--{BOUNDARY}--\r\n")).encode()


@dataclass
class Planting:
    """The exchanges of one program.

    Attributes:
        server: Answers them.
        planted: The secrets by their places.
        steps: The requests, as the programs read them.
    """

    server: RecordingServer
    planted: dict[str, str] = field(default_factory=dict)
    steps: list[dict[str, Any]] = field(default_factory=list)

    def secret(self, place: str, prefix: str = "", length: int = 24, alphabet: str = _ALPHABET) -> str:
        """A new secret for a place."""
        assert place not in self.planted
        self.planted[place] = prefix + random_text(place, length, alphabet)
        return self.planted[place]

    def jwt(self, place: str) -> str:
        """A new JSON Web Token for a place."""
        head = base64_of('{"alg":"HS256","typ":"JWT"}').rstrip("=")
        claims = base64_of(json.dumps({"sub": random_text(f"{place} of", 12), "iat": 1516239022})).rstrip("=")
        self.planted[place] = f"{head}.{claims}.{random_text(place, 43)}"
        return self.planted[place]

    def private_key(self, place: str) -> str:
        """A new private key for a place: what looks like one."""
        lines = [random_text(f"{place}, line {line}", 64) for line in range(8)]
        self.planted[place] = "\n".join(["-----BEGIN RSA PRIVATE KEY-----", *lines, "-----END RSA PRIVATE KEY-----"])
        return self.planted[place]

    def exchange(  # noqa: PLR0913 - a request and its answer have this many parts
        self,
        name: str,
        *,
        answer: Canned | None = None,
        url: str | None = None,
        rest: str = "",
        method: str = "GET",
        headers: tuple[tuple[str, str], ...] = (),
        body: bytes | None = None,
        **others: Any,
    ) -> None:
        """Add an exchange.

        Args:
            name: Of the answer.
            answer: What the server gives.
            url: The whole URL, instead of the canned answer's.
            rest: What follows the canned answer's name in the URL.
            method: The method.
            headers: The fields of the request.
            body: The request's body.
            **others: `span`, the name of a root span; `file`, the name of a file that makes the request; `proxy`.
        """
        CANNED[name] = answer or Canned(b"nothing", (("Content-Type", TEXT),))
        self.steps.append(
            {
                "url": url or self.server.url(f"/canned/{name}{rest}"),
                "method": "POST" if body is not None and method == "GET" else method,
                "headers": list(headers),
                "body": None if body is None else base64.b64encode(body).decode(),
                **others,
            }
        )

    def write(self, path: Path) -> Path:
        """Write the steps for the programs."""
        path.write_text(json.dumps(self.steps), "utf-8")
        return path
