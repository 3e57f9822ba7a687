"""Whole texts in which nothing was found before: the answers of a service that is polled are the same for long.

The rule: no text is kept, and what comes once costs next to nothing. Of the first of a kind Python's own hash is
remembered, which is fast and may be another text's; a digest, which is not, only of what comes a second time.
"""

from __future__ import annotations

import os
from hashlib import blake2b

_MOST = 4096
_LONGEST = 1_048_576


class SeenTexts:
    """Texts without a secret, within bounds: 4,096 hashes, and as many digests of 16 bytes."""

    def __init__(self) -> None:
        self._hashes: set[int] = set()
        self._digests: set[bytes] = set()
        self._key = os.urandom(16)

    def __contains__(self, text: str) -> bool:
        """Whether a text was added twice."""
        return hash(text) in self._hashes and self._digest(text) in self._digests

    def add(self, text: str) -> None:
        """A text that has no secret; one that is very long is looked at each time."""
        if len(text) > _LONGEST:
            return
        if hash(text) in self._hashes:
            if len(self._digests) >= _MOST:
                self._digests.clear()
            self._digests.add(self._digest(text))
        else:
            if len(self._hashes) >= _MOST:
                self._hashes.clear()
            self._hashes.add(hash(text))

    def _digest(self, text: str) -> bytes:
        return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16, key=self._key).digest()
