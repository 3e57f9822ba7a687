"""Who may send: whoever has the token."""

from __future__ import annotations

import hmac


class Access:
    """Knows the token.

    Args:
        token: What senders must have; None: everybody may send.
    """

    def __init__(self, token: str | None) -> None:
        self._expected = None if token is None else token.encode()

    @property
    def is_open(self) -> bool:
        """Whether everybody may send."""
        return self._expected is None

    def admits(self, authorization: str | bytes | None) -> bool:
        """Whether the value of `Authorization` is that of somebody who may send.

        It takes as long for a token that is nearly right as for any other (RFC 6750, 2.1, is its form).
        """
        if self._expected is None:
            return True
        told = authorization.encode("utf-8", "replace") if isinstance(authorization, str) else authorization or b""
        scheme, _, token = told.partition(b" ")
        return hmac.compare_digest(token.strip(), self._expected) and scheme.lower() == b"bearer"
