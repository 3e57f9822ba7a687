"""What was delivered lately, so that it is not delivered again.

The rule: a sender that got no answer sends again, and may have been late only. Only what was delivered is known here:
what failed must be let in when it comes again.
"""

from __future__ import annotations

from collections import OrderedDict

DEFAULT_WINDOW = 100_000


class Window:
    """The last so many identities.

    Args:
        most: How many; one takes about 150 bytes.
    """

    def __init__(self, most: int = DEFAULT_WINDOW) -> None:
        self._most = most
        self._known: OrderedDict[bytes, None] = OrderedDict()

    def __contains__(self, identity: bytes) -> bool:
        return identity in self._known

    def __len__(self) -> int:
        return len(self._known)

    def discard(self, identity: bytes) -> None:
        """It is known no longer."""
        self._known.pop(identity, None)

    def add(self, identity: bytes) -> None:
        """It was delivered."""
        self._known[identity] = None
        self._known.move_to_end(identity)
        if len(self._known) > self._most:
            self._known.popitem(last=False)
